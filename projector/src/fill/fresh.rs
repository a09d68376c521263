//! Filling the lanes that a build has nothing of, beside the live cycle and without stalling it.
//!
//! One head for all lanes, and a task for each of those that are filled at once. A lane is handed
//! over when all of it is acknowledged, at a known seq; from there on the live cycle follows, and
//! refreshes.

use std::sync::Arc;

use chassis::clock;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use schemas::lane::{LaneSeqs, Seq};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::context::{FillContext, Interrupted, LaneAssignment, LaneContext};
use super::lane::{LaneFilled, fill_lane};
use crate::build_id::BuildId;
use crate::checkpoint::Checkpoint;
use crate::config::LANES_OF_ONE_BUILD_FILLED_AT_ONCE;
use crate::heads::read_heads;
use crate::project::Stopped;
use crate::sink::Target;

/// A build's lanes that are to be filled from their first event.
#[derive(Debug)]
pub struct FreshFill {
    pub context: FillContext,
    pub target: Target,
    pub index_uuid: String,
    pub lanes: Vec<LaneAssignment>,
}

/// A lane that the live cycle may follow from here on.
#[derive(Debug, Clone)]
pub struct Filled {
    pub build: BuildId,
    pub assignment: LaneAssignment,
    /// All up to here is acknowledged.
    pub applied: Seq,
    pub event_id: Option<Uuid>,
    pub recorded_at: Option<DateTime<Utc>>,
    pub stopped: Option<Stopped>,
}

#[derive(Debug)]
pub enum FillReport {
    Filled(Filled),
    /// The build's index is gone.
    Lost(BuildId),
}

impl FreshFill {
    /// Runs until all lanes are handed over or the build is lost; dropping it ends it.
    pub async fn run(self, reports: mpsc::Sender<FillReport>) {
        let started = clock::instant();
        let build = self.target.build;
        let heads = self.heads().await;
        let fill = Arc::new(self);
        let mut waiting = fill.lanes.iter().copied();
        let mut running = JoinSet::new();
        loop {
            while running.len() < LANES_OF_ONE_BUILD_FILLED_AT_ONCE
                && let Some(assignment) = waiting.next()
            {
                running.spawn(Arc::clone(&fill).fill(assignment, heads.get(assignment.0)));
            }
            let Some(ended) = running.join_next().await else {
                break;
            };
            let report = match ended {
                Ok(Ok(filled)) => FillReport::Filled(filled),
                Ok(Err(Interrupted::Lost)) => FillReport::Lost(build),
                Ok(Err(Interrupted::Reassigned)) => continue,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return,
                },
            };
            let is_over = matches!(report, FillReport::Lost(_));
            if reports.send(report).await.is_err() || is_over {
                return;
            }
        }
        let took = started.elapsed().as_secs_f64();
        tracing::info!(build = %build, fill.seconds = took, "filled lanes");
    }

    async fn heads(&self) -> LaneSeqs {
        let mut backoff = Backoff::default();
        loop {
            match read_heads(&self.context.pool).await {
                Ok((_, heads)) => return heads,
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "failed to read the lane heads for a fill");
                    backoff.pause().await;
                }
            }
        }
    }

    async fn fill(
        self: Arc<Self>,
        assignment: LaneAssignment,
        head: Seq,
    ) -> Result<Filled, Interrupted> {
        let permit = self.context.permits.lanes.acquire().await;
        let _permit = permit.expect("the semaphore is never closed");
        let lane = LaneContext {
            fill: self.context.clone(),
            target: self.target.clone(),
            assignment,
        };
        lane.check()?;
        let (applied, stopped) = match fill_lane(&lane, head).await? {
            LaneFilled::Done(None) => (head, None),
            LaneFilled::Done(Some(stopped)) => (stopped.seq() - 1, Some(stopped)),
            LaneFilled::InOrder => (0, None),
        };
        let last = if applied == 0 {
            None
        } else {
            lane.event_at(applied).await?
        };
        let filled = Filled {
            build: self.target.build,
            assignment,
            applied,
            event_id: last.map(|(event_id, _)| event_id),
            recorded_at: last.map(|(_, recorded_at)| recorded_at),
            stopped,
        };
        self.write_checkpoint(&filled).await;
        Ok(filled)
    }

    /// So that a restart need not fill this lane again. It may fail: then it is filled again.
    async fn write_checkpoint(&self, filled: &Filled) {
        let Some(event_id) = filled.event_id else {
            return;
        };
        let checkpoint = Checkpoint {
            build: filled.build,
            index_uuid: self.index_uuid.clone(),
            lane: filled.assignment.0,
            seq: filled.applied,
            event_id,
        };
        if let Err(error) = self.context.checkpoints.write(&[checkpoint]).await {
            tracing::warn!(error = %Chain(&error), "failed to write a checkpoint");
        }
    }
}
