//! Lanes of a build: assigned and revoked, loaded from their checkpoints, filled.

use super::{BuildTask, TurnError};
use crate::cycle::load::Load;
use crate::cycle::workbench::WorkError;
use crate::fill::{FillReport, FreshFill, LaneAssignment};

impl BuildTask {
    /// Restarts lanes that were assigned or revoked, or both.
    pub(super) fn follow_assignment(&mut self) {
        let gone = self.feed.follow_assignment(&self.parts.ownership);
        if !gone.is_empty() {
            self.workbench.forget(&gone);
            let build = self.target.build;
            self.parts
                .board
                .retain(|of, lane| of != build || !gone.contains(&lane));
        }
        self.load_missing();
    }

    pub(super) fn load_missing(&mut self) {
        self.background.reap();
        let assignments = self.feed.begin_missing(&self.parts.ownership);
        if assignments.is_empty() {
            return;
        }
        self.workbench.refreshes.request();
        self.background.load(Load {
            index: self.target.index.to_string(),
            index_uuid: self.index_uuid.clone(),
            assignments,
            checkpoints: self.parts.fill.checkpoints.clone(),
            elasticsearch: self.parts.sink.elasticsearch().clone(),
        });
        self.report();
    }

    pub(super) fn fill(&mut self, lanes: Vec<LaneAssignment>) {
        if lanes.is_empty() {
            return;
        }
        tracing::info!(build = %self.target.build, lane.count = lanes.len(), "filling lanes");
        self.background.fill(FreshFill {
            context: self.parts.fill.clone(),
            target: self.target.clone(),
            index_uuid: self.index_uuid.clone(),
            lanes,
        });
    }

    /// Follows a lane from the position that its fill has reached.
    pub(super) fn take_fill(&mut self, report: FillReport) -> Result<(), TurnError> {
        let FillReport::Filled(filled) = report else {
            return Err(WorkError::Lost.into());
        };
        self.workbench.refreshes.request();
        let (lane, stopped) = (filled.assignment.0, filled.stopped.clone());
        if self.feed.take_filled(filled)
            && let Some(stopped) = stopped
        {
            self.record_stopped(lane, &stopped);
        }
        Ok(())
    }
}
