//! Heads of the lanes as the primary has them, and the epoch beside them.
//!
//! Asked for foreign tidemarks, and where an entry is beyond all that the projectors have seen.
//! Reads that are covered never come here, so they go on while PostgreSQL is away. A standby may
//! lag, or be of a history that was left behind: what it says is no answer to either.

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

/// No column but of one statement: epoch, heads and who says so belong together.
const LANE_HEADS: &str = "select pg_is_in_recovery(), epoch.epoch, lane.id, lane.head \
                          from lane cross join epoch";
const EPOCH: &str = "select pg_is_in_recovery(), epoch from epoch";

#[derive(Debug)]
pub struct Heads {
    pool: Pool,
    epoch: EpochHandle,
    /// As last read: heads never fall.
    known: Mutex<LaneSeqs>,
    /// When the last read began, and what it gave; none where it failed. One at a time: a reader
    /// that waits takes the answer to a question that was asked after its own arrival.
    last: tokio::sync::Mutex<Option<(Instant, Option<LaneSeqs>)>>,
    /// Woken when another epoch than the first was read.
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
    #[error("a number of the log is out of range")]
    Number(#[from] std::num::TryFromIntError),
    #[error("a standby answered, and only the primary's word counts")]
    Standby,
    #[error("the read of the lane heads that this one had joined failed")]
    Joined,
    #[error("the log has no epoch")]
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

    /// Asks the primary which history this is.
    pub async fn read_epoch(&self, deadline: Deadline) -> Result<Epoch, HeadsError> {
        let client = get_within(&self.pool, deadline).await?;
        let statement = client.prepare_cached(EPOCH);
        let statement = deadline.run(statement).await??;
        let row = deadline.run(client.query_opt(&statement, &[])).await??;
        epoch_of(&row.ok_or(HeadsError::NoEpoch)?)
    }

    /// Asks the primary how far each lane has come. `reason` is a label in metrics.
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
        // Others wait behind this one.
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
            let lane: Lane = row.try_get::<_, i16>(2)?.try_into()?;
            heads.set(lane, Seq::try_from(row.try_get::<_, i64>(3)?)?);
        }
        Ok(heads)
    }

    /// True when the primary says that one of these positions is beyond its lane's head: a
    /// history that is lost. The heads known from earlier speak where they suffice; unreachable,
    /// the primary says nothing.
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

    /// Ends when a read has seen another epoch than the one that this process started with.
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

/// Of a row that begins with whether the server is a standby, and the epoch.
fn epoch_of(row: &Row) -> Result<Epoch, HeadsError> {
    if row.try_get(0)? {
        return Err(HeadsError::Standby);
    }
    Ok(Epoch(u32::try_from(row.try_get::<_, i64>(1)?)?))
}
