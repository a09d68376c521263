//! Rules of folding, told as sentences.

use schemas::id::ProductId;
use schemas::lane::{Lane, Position};

use super::*;
use crate::project::samples::{LAMP, LIGHTS, categorized, created, price, renamed};

fn fold(entries: &[LogEntry], working: &mut Working) -> Fold {
    fold_events(View::Products, entries.iter(), working, &BTreeSet::new())
}

fn amount(working: &Working) -> (i64, Seq) {
    match working[&LAMP].document.as_ref() {
        Some(Document::Products(product)) => (product.price.amount, product.seq),
        other => panic!("no product: {other:?}"),
    }
}

#[test]
fn a_document_is_the_fold_of_its_events() {
    let mut working = Working::new();
    let fold = fold(&[created(1), price(2, 250)], &mut working);
    assert_eq!((fold.entries, &fold.stand), (2, &Stand::End));
    assert_eq!(fold.changed, [subject_hash(LAMP); 2]);
    assert_eq!(amount(&working), (250, 2));
    assert_eq!(working[&LAMP].first, Some((1, Uuid::from_u128(1))));
}

#[test]
fn an_event_at_or_below_the_documents_version_changes_nothing() {
    let mut working = Working::new();
    fold(&[created(1), price(5, 500)], &mut working);
    let again = fold(&[created(1), price(3, 300), price(5, 555)], &mut working);
    assert_eq!((again.entries, again.changed.len()), (3, 0));
    assert_eq!(amount(&working), (500, 5));
}

#[test]
fn a_document_found_ahead_is_written_once_more_unless_it_is_known_to_be_there() {
    for confirmed in [false, true] {
        let mut found = Working::new();
        fold(&[created(1), price(5, 500)], &mut found);
        let document = found.remove(&LAMP).unwrap().document;
        let slot = Slot {
            document,
            confirmed,
            ..Slot::default()
        };
        let mut working = Working::from([(LAMP, slot)]);
        fold(&[price(4, 400)], &mut working);
        assert_eq!(working[&LAMP].rewrite, !confirmed);
        assert_eq!(working[&LAMP].first, None);
    }
}

#[test]
fn a_document_to_be_written_once_more_is_so_also_when_poison_follows() {
    let mut found = Working::new();
    fold(&[created(1), price(5, 500)], &mut found);
    let document = found.remove(&LAMP).unwrap().document;
    let slot = Slot {
        document,
        ..Slot::default()
    };
    let mut working = Working::from([(LAMP, slot)]);
    let fold = fold(&[price(4, 400), created(6)], &mut working);
    assert!(matches!(fold.stand, Stand::Stopped(_)), "{fold:?}");
    assert!(working[&LAMP].rewrite);
    assert_eq!(amount(&working), (500, 5));
}

#[test]
fn a_broadcast_is_a_barrier_where_its_audience_is_not_in_hand() {
    let mut working = Working::new();
    let fold = fold(
        &[created(1), renamed(2, "Lamps"), price(3, 300)],
        &mut working,
    );
    assert_eq!(fold.entries, 1);
    assert!(
        matches!(fold.stand, Stand::Barrier((_, LIGHTS))),
        "{fold:?}"
    );
}

#[test]
fn poison_leaves_what_was_folded_before_it() {
    let mut working = Working::new();
    let fold = fold(
        &[created(1), price(2, 250), created(3), price(4, 400)],
        &mut working,
    );
    assert_eq!(fold.entries, 2);
    assert!(
        matches!(fold.stand, Stand::Stopped(Stopped::Poison { seq: 3, .. })),
        "{fold:?}"
    );
    assert_eq!(amount(&working), (250, 2));
}

#[test]
fn a_newer_version_stops_but_is_no_poison() {
    let lane = Lane::of(LAMP);
    let unknown = LogEntry {
        position: Position { lane, seq: 1 },
        event_id: LAMP,
        bytes: 0,
        content: Content::Unknown("newer".to_owned()),
    };
    let fold = fold(&[unknown], &mut Working::new());
    assert!(
        matches!(fold.stand, Stand::Stopped(Stopped::Unknown { seq: 1, .. })),
        "{fold:?}"
    );
}

#[test]
fn the_documents_of_a_run_are_known_up_to_its_barrier() {
    let entries = [created(1), price(2, 1), renamed(3, "Lamps"), price(4, 1)];
    let targets =
        |in_hand: &BTreeSet<_>| targets_of(View::Products, entries.iter(), in_hand).count();
    assert_eq!(targets(&BTreeSet::new()), 2);
    let in_hand = audiences_of(View::Products, entries.iter()).collect();
    assert_eq!(targets(&in_hand), 3);
}

/// A product that is in no category.
fn apart(id: u128) -> (Uuid, Slot) {
    let mut working = Working::new();
    fold(&[created(1)], &mut working);
    let Some(Document::Products(mut product)) = working.remove(&LAMP).unwrap().document else {
        panic!("no product");
    };
    product.product_id = ProductId(Uuid::from_u128(id));
    product.category_ids.clear();
    product.categories.clear();
    let document = Some(Document::Products(product));
    let slot = Slot {
        document,
        ..Slot::default()
    };
    (Uuid::from_u128(id), slot)
}

fn fold_in_hand(entries: &[LogEntry], working: &mut Working) -> Fold {
    let in_hand = audiences_of(View::Products, entries.iter()).collect();
    fold_events(View::Products, entries.iter(), working, &in_hand)
}

fn category_names(working: &Working) -> Vec<String> {
    let Some(Document::Products(product)) = &working[&LAMP].document else {
        panic!("no product");
    };
    let names = product.categories.iter();
    names.map(|category| category.name.clone()).collect()
}

#[test]
fn a_broadcast_reaches_its_audience_and_nobody_else() {
    let mut working = Working::from([apart(8)]);
    fold(&[created(1)], &mut working);
    let entries = [renamed(2, "Lamps"), price(3, 300), renamed(4, "Bulbs")];
    let fold = fold_in_hand(&entries, &mut working);
    assert_eq!((fold.entries, fold.stand), (3, Stand::End));
    assert_eq!(fold.changed, [subject_hash(LAMP); 3]);
    assert_eq!(amount(&working), (300, 4));
    let other = working[&Uuid::from_u128(8)].document.as_ref();
    assert_eq!(other.map(Document::seq), Some(1));
}

#[test]
fn who_leaves_a_category_hears_no_more_of_it_and_who_joins_does() {
    let mut working = Working::new();
    let entries = [
        created(1),
        renamed(2, "Lamps"),
        categorized(3, false),
        renamed(4, "Bulbs"),
    ];
    fold_in_hand(&entries, &mut working);
    assert_eq!(category_names(&working), Vec::<String>::new());
    assert_eq!(amount(&working).1, 3, "the second name is not its business");

    fold_in_hand(&[categorized(5, true), renamed(6, "Light")], &mut working);
    assert_eq!(category_names(&working), ["Light"]);
}
