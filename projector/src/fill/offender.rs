//! Which event made a document one that Elasticsearch refuses.
//!
//! A fill writes a document once, as all events of its subject make it. Where that is refused, the
//! lane has to stand still before the event at fault, as it does when the live log is followed: so
//! the document is written as fewer events make it, and the search halves what is between the last
//! version that was taken and the first that was not.

use schemas::lane::Seq;

use super::broadcasts::Broadcasts;
use super::bulks::Refusal;
use super::context::{Interrupted, LaneContext};
use super::subject::{Finished, Subjects};
use super::subject_pages::read_subjects;
use crate::project::Stopped;
use crate::sink::{Bulk, Outcome, Versioning};

/// Finds an event before which the document is taken, and with which it is refused.
pub(super) async fn find_offender(
    lane: &LaneContext,
    broadcasts: &Broadcasts,
    refusal: Refusal,
) -> Result<Stopped, Interrupted> {
    let mut search = Search::new(refusal.version);
    let mut reason = refusal.reason.clone();
    while let Some(seq) = search.next() {
        let before = document_at(lane, broadcasts, &refusal, seq).await?;
        let before = before.filter(|before| before.document.seq() > search.taken);
        let refused = match &before {
            Some(finished) => refused(lane, finished).await?,
            // It is what was taken already.
            None => None,
        };
        match (before, refused) {
            (Some(finished), Some(why)) => {
                reason = why;
                search.refused = finished.document.seq();
            }
            _ => search.taken = seq,
        }
    }
    let event = lane.event_at(search.refused).await?;
    Ok(Stopped::Poison {
        seq: search.refused,
        event_id: event.map(|(event_id, _)| event_id).unwrap_or_default(),
        reason,
    })
}

/// The document as all events up to this seq make it.
async fn document_at(
    lane: &LaneContext,
    broadcasts: &Broadcasts,
    refusal: &Refusal,
    head: Seq,
) -> Result<Option<Finished>, Interrupted> {
    let mut subjects = Subjects::new(lane.target.build.view, broadcasts, head);
    let mut cursor = Some((refusal.subject, 0));
    while let Some(from) = cursor.take() {
        let pool = &lane.fill.pool;
        let page = lane
            .read(|| read_subjects(pool, lane.lane(), from, head))
            .await?;
        let own = page.rows.iter();
        let own = own.take_while(|(subject, _)| *subject == refusal.subject);
        let mut count = 0;
        for (subject, entry) in own {
            subjects.take(entry, *subject);
            cursor = Some((*subject, entry.seq()));
            count += 1;
        }
        if count < page.rows.len() || !page.is_cut {
            cursor = None;
        }
    }
    subjects.end_subject();
    let mut finished = subjects.finished.into_iter();
    Ok(finished.find(|finished| finished.document.id() == refusal.id))
}

/// Writes the document; why it is refused, where it is.
async fn refused(lane: &LaneContext, finished: &Finished) -> Result<Option<String>, Interrupted> {
    let mut bulk = Bulk::default();
    let (document, first) = (&finished.document, finished.first);
    bulk.push(&lane.target, document, first, Versioning::ExternalGte);
    let outcomes = lane.write(&bulk.seal()).await?;
    Ok(outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Refused(reason) => Some(reason),
        Outcome::Written | Outcome::Superseded | Outcome::Lost => None,
    }))
}

/// Halves what is between a seq up to which a document is taken and one with which it is refused.
#[derive(Debug)]
struct Search {
    /// No document at all is taken.
    taken: Seq,
    refused: Seq,
}

impl Search {
    fn new(refused: Seq) -> Self {
        Self { taken: 0, refused }
    }

    /// The seq to be tried next; none where the two are neighbours.
    fn next(&self) -> Option<Seq> {
        let middle = self.taken.midpoint(self.refused);
        (middle > self.taken).then_some(middle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    proptest! {
        #[test]
        fn the_event_found_turns_a_document_that_is_taken_into_one_that_is_refused(
            events in btree_set(1..10_000_u64, 1..50),
            refusing in any::<u64>(),
        ) {
            let events: Vec<Seq> = events.into_iter().collect();
            let last = events.len() - 1;
            let is_refused = |place: usize| place == last || refusing >> (place % 64) & 1 == 1;
            let place_at = |seq: Seq| events.partition_point(|event| *event <= seq).checked_sub(1);
            let mut search = Search::new(events[last]);
            let mut steps = 0;
            while let Some(seq) = search.next() {
                match place_at(seq).filter(|place| is_refused(*place)) {
                    Some(place) => search.refused = events[place],
                    None => search.taken = seq,
                }
                steps += 1;
            }
            let place = place_at(search.refused).unwrap();
            prop_assert!(events[place] == search.refused && is_refused(place));
            prop_assert!(place == 0 || !is_refused(place - 1));
            prop_assert!(steps <= 14);
        }
    }
}
