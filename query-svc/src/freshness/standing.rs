//! Where a read stands between two steps of the ladder.

use chassis::clock::Deadline;
use chassis::watermark_tail::Wake;

use super::error::LadderError;
use super::judge::{Footing, Gap};
use crate::gate::GateError;

/// What the last judgement said, and what was tried since.
pub(super) struct Standing {
    pub is_covered: bool,
    /// None where a view has no active build.
    pub footing: Option<Footing>,
    pub gap: Gap,
    /// Comes when it is worth judging again; none where it is at once.
    pub wake: Option<Wake>,
    /// Why the last real-time get failed.
    pub failed: Option<GateError>,
}

impl Standing {
    pub(super) fn behind(footing: Option<Footing>, gap: Gap, wake: Option<Wake>) -> Self {
        Self {
            is_covered: false,
            footing,
            gap,
            wake,
            failed: None,
        }
    }

    /// Until it is worth judging again, or the time has come. Which of them it was makes no
    /// difference: all is judged again.
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
