//! The lane heads and the epoch, read from PostgreSQL's primary.
//!
//! They are read for foreign tidemarks, and for entries beyond every head that a projector has
//! seen. Covered reads never need them, so they are served while PostgreSQL is down.

use std::sync::{Mutex, PoisonError};

use chassis::clock::{self, Deadline};
use chassis::postgres::get_within;
use chassis::tidemark::{EpochChanged, EpochHandle};
use deadpool_postgres::{Pool, PoolError};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneOutOfRange, LaneSeqs, Position, Seq};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_postgres::Row;

use crate::config::LANE_HEADS_TIMEOUT;
use crate::metrics;

/// One statement, so that epoch and heads come from the same server and snapshot.
const LANE_HEADS: &str = "select epoch.epoch, lane.id, lane.head from lane cross join epoch";
const EPOCH: &str = "select epoch from epoch";

#[derive(Debug)]
pub struct Heads {
    pool: Pool,
    epoch: EpochHandle,
    /// The highest heads read so far: a head never falls.
    known: Mutex<LaneSeqs>,
    /// When the last read began, and its result; none where it failed. One read runs at a time: a
    /// caller that waited for it uses its result if it began after the caller's arrival.
    last: tokio::sync::Mutex<Option<(Instant, Option<LaneSeqs>)>>,
    /// Notified when an epoch other than the first was read.
    changed: Notify,
}

#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    #[error("borrow a connection")]
    Pool(#[from] PoolError),
    #[error("read the lane heads")]
    Query(#[from] tokio_postgres::Error),
    #[error("the lane heads were not read in time")]
    Deadline(#[from] chassis::clock::DeadlinePassed),
    #[error(transparent)]
    Lane(#[from] LaneOutOfRange),
    #[error("a lane head or the epoch is out of range")]
    Number(#[from] std::num::TryFromIntError),
    #[error("the read of the lane heads that this one waited for failed")]
    Joined,
    #[error("the table epoch is empty")]
    NoEpoch,
    #[error(transparent)]
    EpochChanged(#[from] EpochChanged),
}

impl Heads {
    pub fn new(pool: Pool, epoch: EpochHandle) -> Self {
        Self {
            pool,
            epoch,
            known: Mutex::default(),
            last: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Reads the epoch from the primary.
    pub async fn read_epoch(&self, deadline: Deadline) -> Result<Epoch, HeadsError> {
        let client = get_within(&self.pool, deadline).await?;
        let statement = client.prepare_cached(EPOCH);
        let statement = deadline.run(statement).await??;
        let row = deadline.run(client.query_opt(&statement, &[])).await??;
        epoch_of(&row.ok_or(HeadsError::NoEpoch)?)
    }

    /// Reads the lane heads from the primary. `reason` is a label in metrics.
    pub async fn read(
        &self,
        reason: &'static str,
        deadline: Deadline,
    ) -> Result<LaneSeqs, HeadsError> {
        let arrived = clock::instant();
        let mut last = deadline.run(self.last.lock()).await?;
        if let Some((began, heads)) = &*last
            && *began >= arrived
        {
            return heads.clone().ok_or(HeadsError::Joined);
        }
        let began = clock::instant();
        // Other callers wait for this read, so one slow caller's deadline must not hold them.
        let heads = self.query(deadline.at_most(LANE_HEADS_TIMEOUT)).await;
        metrics::count_heads(reason, if heads.is_ok() { "ok" } else { "failed" });
        *last = Some((began, heads.as_ref().ok().cloned()));
        self.lock()
            .merge(heads.as_ref().unwrap_or(&LaneSeqs::default()));
        heads
    }

    async fn query(&self, deadline: Deadline) -> Result<LaneSeqs, HeadsError> {
        let client = get_within(&self.pool, deadline).await?;
        let statement = deadline.run(client.prepare_cached(LANE_HEADS)).await??;
        let rows = deadline.run(client.query(&statement, &[])).await??;
        let mut heads = LaneSeqs::default();
        for row in &rows {
            self.check(epoch_of(row)?)?;
            let lane: Lane = row.try_get::<_, i16>(1)?.try_into()?;
            heads.set(lane, Seq::try_from(row.try_get::<_, i64>(2)?)?);
        }
        Ok(heads)
    }

    /// True when one of these positions is beyond its lane's head on the primary: its history is
    /// lost. The primary is read only where the heads read so far do not reach the positions; if
    /// that fails, the answer is false.
    pub async fn are_beyond(&self, positions: &[Position], deadline: Deadline) -> bool {
        let beyond = |heads: &LaneSeqs| {
            let mut positions = positions.iter();
            positions.any(|position| position.seq > heads.get(position.lane))
        };
        if !beyond(&self.lock().clone()) {
            return false;
        }
        let heads = self.read("doubt", deadline).await;
        heads.is_ok_and(|heads| beyond(&heads))
    }

    /// Ends when a read has found an epoch other than the one that this process started with.
    pub async fn epoch_changed(&self) {
        self.changed.notified().await;
    }

    fn check(&self, found: Epoch) -> Result<(), EpochChanged> {
        self.epoch
            .set(found)
            .inspect_err(|_| self.changed.notify_one())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LaneSeqs> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The epoch of a row that begins with it.
fn epoch_of(row: &Row) -> Result<Epoch, HeadsError> {
    Ok(Epoch(u32::try_from(row.try_get::<_, i64>(0)?)?))
}
