//! Filling subject by subject comes to the same documents as following the log.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use schemas::view::products::CATEGORY_IDS;

use super::*;
use crate::project::Content;
use crate::project::samples::{
    LAMP, LIGHTS, categorized_of, created, created_of, price, price_of, renamed, renamed_by,
};

const TORCH: Uuid = Uuid::from_u128(8);

/// The documents of a lane, and where it stands still.
type Outcome = (BTreeMap<Uuid, Document>, Option<Seq>);

fn subject_of(entry: &LogEntry) -> Option<Uuid> {
    match &entry.content {
        Content::Event(envelope) => envelope.subject,
        _ => None,
    }
}

/// Read as a fill does: what concerns many subjects first, then one subject after the other.
fn filled(log: &[LogEntry]) -> Outcome {
    let mut broadcasts = Broadcasts::default();
    log.iter()
        .all(|entry| broadcasts.push(View::Products, entry));
    let of_subjects = log
        .iter()
        .filter_map(|entry| Some((subject_of(entry)?, entry)));
    let mut of_subjects: Vec<_> = of_subjects.collect();
    of_subjects.sort_by_key(|(subject, entry)| (*subject, entry.seq()));
    let head = log.iter().map(LogEntry::seq).max().unwrap_or(0);
    let mut subjects = Subjects::new(View::Products, &broadcasts, head);
    for (subject, entry) in of_subjects {
        subjects.take(entry, subject);
    }
    subjects.end_subject();
    let finished = subjects.finished.into_iter();
    let documents: Vec<_> = finished.map(|it| (it.document.id(), it.document)).collect();
    let count = documents.len();
    let documents: BTreeMap<_, _> = documents.into_iter().collect();
    assert_eq!(documents.len(), count, "each document is finished once");
    (documents, subjects.stopped.as_ref().map(Stopped::seq))
}

/// Read in the order of the log, as the live cycle does.
fn followed(log: &[LogEntry]) -> Outcome {
    let mut working = Working::new();
    let whole = BTreeSet::from([(CATEGORY_IDS, LIGHTS)]);
    let fold = fold_events(View::Products, log.iter(), &mut working, &whole);
    let documents = working.into_iter();
    let documents = documents.filter_map(|(id, slot)| Some((id, slot.document?)));
    let stopped = match fold.stand {
        Stand::Stopped(stopped) => Some(stopped.seq()),
        Stand::End | Stand::Barrier(_) => None,
    };
    (documents.collect(), stopped)
}

fn lamp(outcome: &Outcome) -> (&str, i64, Seq) {
    let Some(Document::Products(lamp)) = outcome.0.get(&LAMP) else {
        panic!("no lamp: {outcome:?}");
    };
    (&lamp.categories[0].name, lamp.price.amount, lamp.seq)
}

#[test]
fn broadcasts_are_merged_in_by_seq() {
    let filled = filled(&[
        renamed(1, "Early"),
        created(3),
        renamed(4, "Middle"),
        price(5, 500),
        renamed(7, "Late"),
    ]);
    assert_eq!(filled.1, None);
    assert_eq!(lamp(&filled), ("Late", 500, 7));
}

#[test]
fn a_broadcast_before_the_first_event_does_not_concern_it() {
    let filled = filled(&[renamed(1, "Early"), created(3)]);
    assert_eq!(lamp(&filled), ("Lights", 100, 3));
}

#[test]
fn an_event_of_a_subject_that_concerns_documents_by_a_field_is_for_all_of_the_lane() {
    let log = [
        created_of(TORCH, 1),
        created(2),
        renamed_by(TORCH, 3, "Torches"),
        price(4, 500),
    ];
    let filled = filled(&log);
    assert_eq!(lamp(&filled), ("Torches", 500, 4));
    assert_eq!(filled, followed(&log));
}

#[test]
fn a_subject_that_cannot_be_folded_any_further_keeps_what_was_before() {
    let filled = filled(&[
        created(3),
        renamed(4, "Middle"),
        created(6),
        price(7, 700),
        renamed(9, "Late"),
    ]);
    assert_eq!(filled.1, Some(6));
    assert_eq!(lamp(&filled), ("Middle", 100, 4));
}

#[test]
fn a_subject_that_was_never_created_is_no_document() {
    assert_eq!(filled(&[price(3, 1)]), (BTreeMap::new(), Some(3)));
}

#[test]
fn nothing_is_folded_from_where_the_lane_stands_still() {
    let broadcasts = Broadcasts::default();
    let mut subjects = Subjects::new(View::Products, &broadcasts, 9);
    subjects.take(&created(1), LAMP);
    subjects.stop(Stopped::Poison {
        seq: 4,
        event_id: Uuid::nil(),
        reason: "refused".to_owned(),
    });
    subjects.take(&price(3, 300), LAMP);
    subjects.take(&price(4, 400), LAMP);
    subjects.end_subject();
    assert_eq!(subjects.finished[0].document.seq(), 3);
    assert!(subjects.reaches(3) && !subjects.reaches(4));
}

#[derive(Debug, Clone)]
enum Step {
    Create,
    Price(i64),
    Categorize(bool),
    Rename(String),
    /// As an event of the product itself.
    RenameBy(String),
}

/// What happens to one of two products, or to both.
fn any_step() -> impl Strategy<Value = (Uuid, Step)> {
    let product = prop_oneof![Just(LAMP), Just(TORCH)];
    let step = prop_oneof![
        1 => Just(Step::Create),
        6 => (1..9_i64).prop_map(Step::Price),
        4 => any::<bool>().prop_map(Step::Categorize),
        4 => "[a-z]{1,3}".prop_map(Step::Rename),
        4 => "[a-z]{1,3}".prop_map(Step::RenameBy),
    ];
    (product, step)
}

fn entry(seq: Seq, (product, step): &(Uuid, Step)) -> LogEntry {
    match step {
        Step::Create => created_of(*product, seq),
        Step::Price(amount) => price_of(*product, seq, *amount),
        Step::Categorize(is_in) => categorized_of(*product, seq, *is_in),
        Step::Rename(name) => renamed(seq, name),
        Step::RenameBy(name) => renamed_by(*product, seq, name),
    }
}

proptest! {
    #[test]
    fn a_lane_that_is_filled_is_as_one_that_was_followed(
        mut steps in vec(any_step(), 0..40), are_made_first in any::<bool>(),
    ) {
        if are_made_first {
            steps.splice(0..0, [(LAMP, Step::Create), (TORCH, Step::Create)]);
        }
        let mut log: Vec<_> = (1..).zip(&steps).map(|(seq, step)| entry(seq, step)).collect();
        let stopped = followed(&log).1;
        prop_assert_eq!(filled(&log).1, stopped);
        // Beyond where a lane stands still, other subjects may have gone on.
        log.retain(|entry| stopped.is_none_or(|stopped| entry.seq() < stopped));
        prop_assert_eq!(filled(&log), followed(&log));
    }
}
