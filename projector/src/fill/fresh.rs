//! Filling the lanes that a build has nothing of, beside the live cycle and without stalling it.
//!
//! One head for all lanes. A lane that is filled and refreshed is handed over at a known seq; from
//! there on the live cycle follows.

use std::sync::Arc;

use chassis::clock::{self, Deadline};
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use deadpool_postgres::Pool;
use futures::StreamExt;
use schemas::lane::{Lane, LaneSeqs, Seq};
use tokio::sync::{Semaphore, mpsc};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::lane::{LaneError, LaneFill, LaneFilled};
use super::release::Release;
use super::{FillError, STATEMENT, borrow};
use crate::cache::BuildId;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::consume::Ownership;
use crate::lag::read_heads;
use crate::project::Stopped;
use crate::sink::{Sink, SinkError, Target};

const LANES_AT_ONCE: usize = 3;

/// A lane, and the number of the assignment under which it is ours.
pub type Life = (Lane, u64);

/// What fills work with.
#[derive(Debug, Clone)]
pub struct Hands {
    pub pool: Pool,
    pub sink: Sink,
    /// How many bulks may be in flight, of all fills together.
    pub bulks: Arc<Semaphore>,
    pub checkpoints: Checkpoints,
    pub ownership: Ownership,
}

/// A build's lanes that are to be filled from their first event.
#[derive(Debug)]
pub struct FreshFill {
    pub hands: Hands,
    pub target: Target,
    pub index_uuid: String,
    pub lanes: Vec<Life>,
}

/// A lane that the live cycle may follow from here on.
#[derive(Debug, Clone)]
pub struct Filled {
    pub build: BuildId,
    pub life: Life,
    /// All up to here is acknowledged.
    pub applied: Seq,
    pub event_id: Option<Uuid>,
    pub recorded_at: Option<DateTime<Utc>>,
    /// All up to `applied` is visible.
    pub refreshed: bool,
    pub stopped: Option<Stopped>,
}

#[derive(Debug)]
pub enum FillReport {
    Filled(Vec<Filled>),
    /// The build's index is gone.
    Lost(BuildId),
}

impl FreshFill {
    /// Runs until all lanes are handed over; `reports` ends it when nobody listens any more.
    pub async fn run(self, reports: mpsc::Sender<FillReport>) {
        let build = self.target.build;
        let started = clock::instant();
        let heads = self.heads().await;
        let filled = futures::stream::iter(self.lanes.clone())
            .map(|life| self.fill(life, heads.get(life.0)))
            .buffer_unordered(LANES_AT_ONCE);
        let mut filled = std::pin::pin!(filled);
        let (sink, target) = (self.hands.sink.clone(), self.target.clone());
        let mut release = Release::new(sink, target, reports.clone());
        while let Some(lane) = filled.next().await {
            match lane {
                Ok(Some(lane)) => release.add(lane),
                Ok(None) => {}
                Err(Gone) => {
                    reports.send(FillReport::Lost(build)).await.ok();
                    return;
                }
            }
        }
        release.finish().await;
        let took = started.elapsed().as_secs_f64();
        tracing::info!(build = %build, fill.seconds = took, "lanes were filled");
    }

    async fn heads(&self) -> LaneSeqs {
        let mut backoff = Backoff::default();
        loop {
            match read_heads(&self.hands.pool).await {
                Ok((_, heads)) => return heads,
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "fill waits for the lane heads");
                    backoff.pause().await;
                }
            }
        }
    }

    /// None where the lane is no longer ours.
    async fn fill(&self, (lane, number): Life, head: Seq) -> Result<Option<Filled>, Gone> {
        let mut backoff = Backoff::default();
        while self.hands.ownership.number(lane) == Some(number) {
            match self.fill_once((lane, number), head).await {
                Ok(filled) => return Ok(Some(filled)),
                Err(LaneError::Lost | LaneError::Sink(SinkError::Missing(_))) => return Err(Gone),
                Err(error) => {
                    tracing::warn!(
                        build = %self.target.build,
                        lane = lane.number(),
                        error = %Chain(&error),
                        "a lane is filled again"
                    );
                    backoff.pause().await;
                }
            }
        }
        Ok(None)
    }

    async fn fill_once(&self, life: Life, head: Seq) -> Result<Filled, LaneError> {
        let Hands {
            pool, sink, bulks, ..
        } = &self.hands;
        let (lane, target) = (life.0, &self.target);
        let filled = LaneFill {
            pool,
            sink,
            bulks,
            target,
            lane,
        }
        .run(head)
        .await?;
        let (applied, stopped) = match filled {
            LaneFilled::Done(None) => (head, None),
            LaneFilled::Done(Some(stopped)) => (stopped.seq() - 1, Some(stopped)),
            LaneFilled::InOrder => (0, None),
        };
        let last = self.last_event(lane, applied).await?;
        let filled = Filled {
            build: target.build,
            life,
            applied,
            event_id: last.map(|(event_id, _)| event_id),
            recorded_at: last.map(|(_, recorded_at)| recorded_at),
            refreshed: false,
            stopped,
        };
        self.write_checkpoint(&filled).await;
        Ok(filled)
    }

    async fn last_event(
        &self,
        lane: Lane,
        seq: Seq,
    ) -> Result<Option<(Uuid, DateTime<Utc>)>, FillError> {
        if seq == 0 {
            return Ok(None);
        }
        let read = async {
            let client = borrow(&self.hands.pool).await?;
            let statement = client.prepare_cached(include_str!("last.sql")).await?;
            let (lane, seq) = (i16::from(lane.number()), seq.cast_signed());
            let parameters: [&(dyn ToSql + Sync); 2] = [&lane, &seq];
            let row = client.query_one(&statement, &parameters).await?;
            Ok((row.try_get("event_id")?, row.try_get("recorded_at")?))
        };
        Deadline::within(STATEMENT).run(read).await?.map(Some)
    }

    /// So that a restart need not fill this lane again. It may fail: then it is filled again.
    async fn write_checkpoint(&self, filled: &Filled) {
        let Some(event_id) = filled.event_id else {
            return;
        };
        let checkpoint = Checkpoint {
            build: filled.build,
            index_uuid: self.index_uuid.clone(),
            lane: filled.life.0,
            seq: filled.applied,
            event_id,
        };
        if let Err(error) = self.hands.checkpoints.write(&[checkpoint]).await {
            tracing::warn!(error = %Chain(&error), "a checkpoint is not written");
        }
    }
}

/// The index is not there any more.
struct Gone;
