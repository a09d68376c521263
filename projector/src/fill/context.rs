//! What fills work with. A fill retries for as long as this process owns the lane.
//!
//! Concurrent lanes and bulks are limited over all builds, and with them the memory that fills use.

use std::sync::Arc;

use chassis::clock::Deadline;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::board::Board;
use crate::checkpoint::Checkpoints;
use crate::config::{LANES_FILLED_AT_ONCE, STATEMENT_TIMEOUT};
use crate::consume::Ownership;
use crate::event_table::{TableError, borrow};
use crate::metrics;
use crate::sink::{Outcome, SealedBulk, Sink, SinkError, Target};

/// A lane, and the number of the assignment under which this process owns it.
pub type LaneAssignment = (Lane, u64);

/// What fills work with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FillContext {
    pub pool: Pool,
    pub board: Board,
    pub sink: Sink,
    pub permits: FillPermits,
    pub checkpoints: Checkpoints,
    pub ownership: Ownership,
}

/// Limits on all fills together.
#[derive(Debug, Clone)]
pub struct FillPermits {
    pub(super) lanes: Arc<Semaphore>,
    pub(super) bulks: Arc<Semaphore>,
}

impl FillPermits {
    pub fn new(bulks: usize) -> Self {
        Self {
            lanes: Arc::new(Semaphore::new(LANES_FILLED_AT_ONCE)),
            bulks: Arc::new(Semaphore::new(bulks)),
        }
    }
}

/// Why the fill of a lane ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// The index is missing.
    Lost,
    /// The lane was revoked or assigned again.
    Reassigned,
}

/// One lane of a build while it is filled. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LaneContext {
    pub(super) fill: FillContext,
    pub(super) target: Target,
    pub(super) assignment: LaneAssignment,
}

impl LaneContext {
    pub(super) fn lane(&self) -> Lane {
        self.assignment.0
    }

    /// Retries a read until it succeeds: what was read and written before is kept.
    pub(super) async fn read<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Interrupted>
    where
        F: Future<Output = Result<T, TableError>>,
    {
        let mut backoff = Backoff::default();
        loop {
            match attempt().await {
                Ok(read) => {
                    self.fill.board.fill_moved(self.target.build);
                    return Ok(read);
                }
                Err(error) => self.note(&error)?,
            }
            backoff.pause().await;
        }
    }

    /// Retries a write until every operation has a final outcome. Between two tries it takes no place:
    /// a build that cannot be written leaves the places to the others.
    pub(super) async fn write(&self, bulk: &SealedBulk) -> Result<Vec<Outcome>, Interrupted> {
        let mut backoff = Backoff::default();
        loop {
            let permit = self.fill.permits.bulks.acquire().await;
            let permit = permit.expect("the semaphore is never closed");
            let written = self.fill.sink.write_sealed(bulk).await;
            drop(permit);
            match written {
                Ok(outcomes) if outcomes.contains(&Outcome::Lost) => return Err(Interrupted::Lost),
                Ok(outcomes) => {
                    self.fill.board.fill_moved(self.target.build);
                    return Ok(outcomes);
                }
                Err(SinkError::Missing(_)) => return Err(Interrupted::Lost),
                Err(error) => self.note(&error)?,
            }
            backoff.pause().await;
        }
    }

    /// Id and time of the lane's event at this seq.
    pub(super) async fn event_at(
        &self,
        seq: Seq,
    ) -> Result<Option<(Uuid, DateTime<Utc>)>, Interrupted> {
        self.read(|| self.read_event_at(seq)).await
    }

    async fn read_event_at(&self, seq: Seq) -> Result<Option<(Uuid, DateTime<Utc>)>, TableError> {
        let read = async {
            let client = borrow(&self.fill.pool).await?;
            let sql = include_str!("sql/last.sql");
            let statement = client.prepare_cached(sql).await?;
            let (lane, seq) = (i16::from(self.lane().number()), seq.cast_signed());
            let parameters: [&(dyn ToSql + Sync); 2] = [&lane, &seq];
            let row = client.query_opt(&statement, &parameters).await?;
            let event = |row: tokio_postgres::Row| {
                Ok((row.try_get("event_id")?, row.try_get("recorded_at")?))
            };
            row.map(event).transpose()
        };
        Deadline::within(STATEMENT_TIMEOUT).run(read).await?
    }

    /// An error if the lane was revoked or assigned again.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        let is_ours = self.fill.ownership.number(self.lane()) == Some(self.assignment.1);
        is_ours.then_some(()).ok_or(Interrupted::Reassigned)
    }

    /// Logs a failed step, which is retried while this process owns the lane.
    fn note(&self, error: &(dyn std::error::Error + 'static)) -> Result<(), Interrupted> {
        self.check()?;
        metrics::fill_retried();
        tracing::warn!(
            build = %self.target.build,
            lane = self.lane().number(),
            error = %Chain(error),
            "retrying a step of a fill"
        );
        Ok(())
    }
}
