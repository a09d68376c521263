//! What a build folds of a lane in one batch, and how far it has come with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::lane::{Lane, Seq};

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
    to: usize,
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
            to: run.to,
        }
    }

    pub(super) fn lane(&self) -> Lane {
        self.assignment.0
    }

    /// What is left to fold; nothing once the lane is stopped.
    pub(super) fn rest(&self) -> &[LogEntry] {
        &self.entries[self.next..self.to]
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
        let stand = match fold.stand {
            Stand::Stopped(stopped) => Some(stopped),
            Stand::End | Stand::Barrier(_) => None,
        };
        let refused = refusals.lanes.get(&self.lane()).cloned();
        let stopped = stand.into_iter().chain(refused).min_by_key(Stopped::seq);
        self.changed.extend(fold.changed);
        let folded = self.next + fold.entries;
        let Some(stopped) = stopped else {
            self.next = folded;
            return;
        };
        let before = self.entries[..folded].partition_point(|entry| entry.seq() < stopped.seq());
        self.next = before.max(self.next);
        self.to = self.next;
        self.stopped = Some(stopped);
    }
}

/// What did not go well in a write, by lane.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    lanes: BTreeMap<Lane, Stopped>,
}

impl Refusals {
    pub(super) fn stop(&mut self, lane: Lane, stopped: Stopped) {
        let first = self.lanes.entry(lane).or_insert_with(|| stopped.clone());
        if stopped.seq() < first.seq() {
            *first = stopped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::samples::{LAMP, price};

    fn run() -> LaneRun {
        let entries = Arc::new((3..=6).map(|seq| price(seq, 1)).collect::<Vec<_>>());
        let run = Run {
            from: 0,
            to: 4,
            gap: false,
        };
        LaneRun::new((Lane::of(LAMP), 1), entries, run)
    }

    fn fold(entries: usize) -> Fold {
        Fold {
            entries,
            stand: Stand::End,
            changed: Vec::new(),
        }
    }

    #[test]
    fn a_run_goes_on_after_a_barrier_until_it_ends() {
        let mut run = run();
        run.settle(fold(2), &Refusals::default());
        assert_eq!(
            (run.last().map(LogEntry::seq), run.next_seq()),
            (Some(4), Some(5))
        );
        run.settle(fold(2), &Refusals::default());
        assert_eq!(
            (run.last().map(LogEntry::seq), run.next_seq()),
            (Some(6), None)
        );
    }

    #[test]
    fn a_refused_document_ends_a_run_before_the_first_event_that_is_folded_into_it() {
        let mut run = run();
        let mut refusals = Refusals::default();
        for seq in [6, 5] {
            let reason = "refused".to_owned();
            let event_id = LAMP;
            refusals.stop(
                run.lane(),
                Stopped::Poison {
                    seq,
                    event_id,
                    reason,
                },
            );
        }
        run.settle(fold(4), &refusals);
        assert_eq!(run.last().map(LogEntry::seq), Some(4));
        assert!(run.rest().is_empty());
        assert_eq!(run.stopped.as_ref().map(Stopped::seq), Some(5));
    }
}
