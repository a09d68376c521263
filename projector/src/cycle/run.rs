//! What a build folds of a lane in one cycle, and how far it has come with it.

use std::sync::Arc;

use schemas::lane::{Lane, Seq};

use crate::cache::BuildId;
use crate::project::{LogEntry, Run};

/// The entries of a lane that a build folds in this cycle.
#[derive(Debug)]
pub(super) struct LaneRun {
    pub(super) build: BuildId,
    pub(super) lane: Lane,
    entries: Arc<Vec<LogEntry>>,
    next: usize,
    to: usize,
}

impl LaneRun {
    pub(super) fn new(
        (build, lane): (BuildId, Lane),
        entries: Arc<Vec<LogEntry>>,
        run: Run,
    ) -> Self {
        Self {
            build,
            lane,
            entries,
            next: run.from,
            to: run.to,
        }
    }

    /// What is left to fold.
    pub(super) fn rest(&self) -> &[LogEntry] {
        &self.entries[self.next..self.to]
    }

    /// Takes entries as folded.
    pub(super) fn advance(&mut self, count: usize) {
        self.next += count;
    }

    /// The entry at this seq, of those in the run.
    pub(super) fn at(&self, seq: Seq) -> Option<&LogEntry> {
        let at = self.entries[..self.to].partition_point(|entry| entry.seq() < seq);
        self.entries[..self.to]
            .get(at)
            .filter(|entry| entry.seq() == seq)
    }
}
