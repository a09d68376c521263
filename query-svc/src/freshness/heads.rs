//! Heads of the lanes as the primary has them, and the epoch beside them.
//!
//! Asked for foreign tidemarks, and where an entry is beyond all that the projectors have seen.
//! Reads that are covered never come here, so they go on while PostgreSQL is away.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::postgres::get_within;
use chassis::tidemark::{EpochChanged, EpochHandle};
use deadpool_postgres::{Pool, PoolError};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneOutOfRange, LaneSeqs, Position, Seq};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics;

/// No column but of one statement: epoch and heads belong together.
const LANE_HEADS: &str = "select epoch.epoch, lane.id, lane.head from lane cross join epoch";
/// What one read of the heads may take.
const ONE_READ: Duration = Duration::from_secs(1);
const EPOCH: &str = "select epoch from epoch";

#[derive(Debug)]
pub struct Heads {
    pool: Pool,
    epoch: EpochHandle,
    /// As last read: heads never fall.
    known: Mutex<LaneSeqs>,
    /// When the last read began, and what it gave. One at a time: whoever waits takes the answer
    /// to a question that was asked after its own arrival.
    last: tokio::sync::Mutex<Option<(Instant, LaneSeqs)>>,
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
        let row = row.ok_or(HeadsError::NoEpoch)?;
        Ok(Epoch(u32::try_from(row.try_get::<_, i64>(0)?)?))
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
            return Ok(heads.clone());
        }
        let began = clock::instant();
        // Others wait behind this one.
        let heads = self.query(deadline.at_most(ONE_READ)).await;
        metrics::count_heads(reason, if heads.is_ok() { "ok" } else { "failed" });
        let heads = heads?;
        self.lock().merge(&heads);
        *last = Some((began, heads.clone()));
        Ok(heads)
    }

    async fn query(&self, deadline: Deadline) -> Result<LaneSeqs, HeadsError> {
        let client = get_within(&self.pool, deadline).await?;
        let statement = deadline.run(client.prepare_cached(LANE_HEADS)).await??;
        let rows = deadline.run(client.query(&statement, &[])).await??;
        let mut heads = LaneSeqs::default();
        for row in &rows {
            self.check(Epoch(u32::try_from(row.try_get::<_, i64>(0)?)?))?;
            let lane: Lane = row.try_get::<_, i16>(1)?.try_into()?;
            heads.set(lane, Seq::try_from(row.try_get::<_, i64>(2)?)?);
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
