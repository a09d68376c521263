//! What a build folds of a lane in one batch, and how far it has come with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::lane::{Lane, Seq};
use uuid::Uuid;

use crate::fill::LaneAssignment;
use crate::project::{Fold, LogEntry, Run, Stand, Stopped};

/// The entries of a lane that a build folds in this batch.
#[derive(Debug)]
pub(super) struct LaneRun {
    pub(super) assignment: LaneAssignment,
    /// Why the lane stands still after this, where it does.
    pub(super) stopped: Option<Stopped>,
    /// Hashes of the subjects whose documents changed.
    pub(super) changed: Vec<u32>,
    entries: Arc<Vec<LogEntry>>,
    from: usize,
    next: usize,
    /// Where the next segment ends at the latest.
    until: usize,
    to: usize,
    /// Behind the last event of a refused document: one before this is at fault.
    suspects_end: usize,
    at_barrier: bool,
}

impl LaneRun {
    pub(super) fn new(assignment: LaneAssignment, entries: Arc<Vec<LogEntry>>, run: Run) -> Self {
        Self {
            assignment,
            stopped: None,
            changed: Vec::new(),
            entries,
            from: run.from,
            next: run.from,
            until: run.to,
            to: run.to,
            suspects_end: run.from,
            at_barrier: false,
        }
    }

    pub(super) fn lane(&self) -> Lane {
        self.assignment.0
    }

    /// What is to be folded next; nothing at the end, and once the lane is stopped.
    pub(super) fn rest(&self) -> &[LogEntry] {
        &self.entries[self.next..self.until]
    }

    /// The rest begins with a broadcast whose audience was not taken in hand.
    pub(super) fn is_at_barrier(&self) -> bool {
        self.at_barrier
    }

    /// Ends the next segment before the first entry of which this is true.
    pub(super) fn end_before(&mut self, is_beyond: impl Fn(&LogEntry) -> bool) {
        if let Some(at) = self.rest().iter().position(is_beyond) {
            self.until = self.next + at;
        }
    }

    /// The seq before which everything is acknowledged.
    pub(super) fn next_seq(&self) -> Option<Seq> {
        self.rest().first().map(LogEntry::seq)
    }

    /// The last entry that is acknowledged, of those in the run.
    pub(super) fn last(&self) -> Option<&LogEntry> {
        self.entries[self.from..self.next].last()
    }

    /// Moves to where a fold has come, all of which was written but for what was refused.
    pub(super) fn settle(&mut self, fold: Fold, refusals: &Refusals) {
        self.changed.extend(fold.changed);
        self.at_barrier = matches!(fold.stand, Stand::Barrier(_));
        let folded = self.next + fold.entries;
        // What is refused was folded, so it comes before what cannot be.
        if let Some(refusal) = refusals.lanes.get(&self.lane()) {
            self.settle_before(refusal, folded);
        } else if let Stand::Stopped(stopped) = fold.stand {
            self.stop(folded, stopped);
        } else {
            self.go_on_from(folded);
        }
    }

    /// Stops before the event at fault, or begins anew with fewer events where it may be one of
    /// several.
    fn settle_before(&mut self, refusal: &Refusal, folded: usize) {
        self.at_barrier = false;
        let entries = &self.entries[..folded];
        let first = entries.partition_point(|entry| entry.seq() < refusal.first.0);
        let first = first.max(self.next);
        let last = entries.partition_point(|entry| entry.seq() < refusal.last);
        if first < last {
            self.suspects_end = last + 1;
            self.go_on_from(first);
        } else {
            self.stop(first, refusal.as_poison());
        }
    }

    /// With all that is left, or with the first half of the events of which one is at fault.
    fn go_on_from(&mut self, next: usize) {
        self.next = next;
        self.until = if next < self.suspects_end {
            next.midpoint(self.suspects_end).max(next + 1)
        } else {
            self.to
        };
    }

    fn stop(&mut self, before: usize, stopped: Stopped) {
        self.next = before;
        self.until = before;
        self.to = before;
        self.stopped = Some(stopped);
    }
}

/// A document that Elasticsearch refuses, or a broadcast that a document cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The first event that was folded into it, and its id.
    pub(super) first: (Seq, Uuid),
    /// The last one.
    pub(super) last: Seq,
    pub(super) reason: String,
}

impl Refusal {
    fn as_poison(&self) -> Stopped {
        let (seq, event_id) = self.first;
        Stopped::Poison {
            seq,
            event_id,
            reason: self.reason.clone(),
        }
    }
}

/// What did not go well in a write: of each lane what begins first, and of those what ends first.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    lanes: BTreeMap<Lane, Refusal>,
}

impl Refusals {
    pub(super) fn add(&mut self, lane: Lane, refusal: Refusal) {
        let known = self.lanes.entry(lane).or_insert_with(|| refusal.clone());
        let place = |refusal: &Refusal| (refusal.first.0, refusal.last);
        if place(&refusal) < place(known) {
            *known = refusal;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::project::samples::{LAMP, price};

    /// Of the events 3 to `last`.
    fn run(last: Seq) -> LaneRun {
        let entries: Vec<_> = (3..=last).map(|seq| price(seq, 1)).collect();
        let run = Run {
            from: 0,
            to: entries.len(),
            gap: false,
        };
        LaneRun::new((Lane::of(LAMP), 1), Arc::new(entries), run)
    }

    fn fold(entries: usize) -> Fold {
        Fold {
            entries,
            stand: Stand::End,
            changed: Vec::new(),
        }
    }

    fn refused(first: Seq, last: Seq) -> Refusal {
        Refusal {
            first: (first, LAMP),
            last,
            reason: "refused".to_owned(),
        }
    }

    fn refusals(refused: impl IntoIterator<Item = Refusal>) -> Refusals {
        let mut refusals = Refusals::default();
        for refusal in refused {
            refusals.add(Lane::of(LAMP), refusal);
        }
        refusals
    }

    fn stand(run: &LaneRun) -> (Option<Seq>, Option<Seq>, Option<Seq>) {
        let last = run.last().map(LogEntry::seq);
        (last, run.next_seq(), run.stopped.as_ref().map(Stopped::seq))
    }

    #[test]
    fn a_run_goes_on_after_a_barrier_until_it_ends() {
        let mut run = run(6);
        let stand_at_barrier = Stand::Barrier(("category_ids", LAMP));
        let before_barrier = Fold {
            stand: stand_at_barrier,
            ..fold(2)
        };
        run.settle(before_barrier, &Refusals::default());
        assert_eq!(stand(&run), (Some(4), Some(5), None));
        assert!(run.is_at_barrier());
        run.settle(fold(2), &Refusals::default());
        assert_eq!(stand(&run), (Some(6), None, None));
        assert!(!run.is_at_barrier());
    }

    #[test]
    fn a_segment_that_was_cut_is_followed_by_all_that_is_left() {
        let mut run = run(6);
        run.end_before(|entry| entry.seq() == 5);
        assert_eq!(run.rest().len(), 2);
        run.settle(fold(2), &Refusals::default());
        assert_eq!(stand(&run), (Some(4), Some(5), None));
        run.end_before(|entry| entry.seq() == 5);
        assert!(run.rest().is_empty(), "another run comes first");
        run.settle(fold(0), &Refusals::default());
        assert_eq!(run.rest().len(), 2);
    }

    #[test]
    fn a_refused_document_ends_a_run_before_the_one_event_that_is_folded_into_it() {
        let mut run = run(6);
        let refusals = refusals([refused(6, 6), refused(5, 6), refused(5, 5)]);
        run.settle(fold(4), &refusals);
        assert_eq!(stand(&run), (Some(4), None, Some(5)));
        assert!(run.rest().is_empty());
    }

    #[test]
    fn of_several_events_that_are_folded_into_a_refused_document_the_first_half_comes_next() {
        let mut run = run(9);
        run.settle(fold(7), &refusals([refused(4, 8)]));
        assert_eq!(stand(&run), (Some(3), Some(4), None));
        assert_eq!(run.rest().last().map(LogEntry::seq), Some(5));
        run.settle(fold(2), &Refusals::default());
        assert_eq!(stand(&run), (Some(5), Some(6), None));
        assert_eq!(run.rest().last().map(LogEntry::seq), Some(6));
        for seq in 6..=8 {
            run.settle(fold(1), &Refusals::default());
            assert_eq!(stand(&run), (Some(seq), Some(seq + 1), None));
        }
        assert_eq!(run.rest().last().map(LogEntry::seq), Some(9));
    }

    proptest! {
        #[test]
        fn a_run_ends_before_the_event_that_turns_a_document_into_one_that_is_refused(
            of_document in btree_set(3..60_u64, 1..30),
            offender in any::<prop::sample::Index>(),
        ) {
            let of_document: Vec<Seq> = of_document.into_iter().collect();
            let offender = of_document[offender.index(of_document.len())];
            let mut run = run(60);
            let mut segments = 0;
            while !run.rest().is_empty() {
                let rest = run.rest();
                let (from, to) = (rest[0].seq(), rest[rest.len() - 1].seq());
                let folded = of_document.iter().filter(|seq| (from..=to).contains(*seq));
                let folded: Vec<Seq> = folded.copied().collect();
                let is_refused = folded.contains(&offender);
                let refused = is_refused.then(|| refused(folded[0], folded[folded.len() - 1]));
                let fold = fold(rest.len());
                run.settle(fold, &refusals(refused));
                segments += 1;
            }
            prop_assert_eq!(run.stopped.as_ref().map(Stopped::seq), Some(offender));
            prop_assert_eq!(run.last().map_or(2, LogEntry::seq), offender - 1);
            prop_assert!(segments <= 8, "{segments}");
        }
    }
}
