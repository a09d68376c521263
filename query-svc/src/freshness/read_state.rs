//! The state of a read between two steps of the ladder.

use chassis::clock::Deadline;
use chassis::watermark_tail::Wake;

use super::error::LadderError;
use super::judge::{Gap, Snapshot};
use crate::admission::AdmissionError;

/// The last judgement, and what was tried since.
pub(super) struct ReadState {
    pub is_covered: bool,
    /// None where a view has no active build.
    pub snapshot: Option<Snapshot>,
    pub gap: Gap,
    /// Wakes when a new judgement may differ; none where it may differ already.
    pub wake: Option<Wake>,
    /// Why the last real-time get failed.
    pub failed: Option<AdmissionError>,
}

impl ReadState {
    pub(super) fn behind(snapshot: Option<Snapshot>, gap: Gap, wake: Option<Wake>) -> Self {
        Self {
            is_covered: false,
            snapshot,
            gap,
            wake,
            failed: None,
        }
    }

    /// Sleeps until a new judgement may differ, or the deadline has passed. The caller judges again
    /// in both cases.
    pub(super) async fn sleep(&mut self, until: Deadline) {
        if let Some(wake) = &mut self.wake {
            let _ = until.run(wake.woken()).await;
        }
    }

    pub(super) fn into_error(self) -> LadderError {
        let behind = || LadderError::not_yet_visible(self.gap);
        self.failed.map_or_else(behind, LadderError::from)
    }
}
