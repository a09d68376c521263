//! The database: its connections, the history it holds, and who is notified of commits.

use std::sync::{Arc, OnceLock};

use chassis::clock::Deadline;
use chassis::postgres;
use chassis::tidemark::EpochHandle;
use deadpool_postgres::Pool;
use schemas::id::Epoch;
use schemas::lane::Position;
use tokio_util::sync::CancellationToken;

use super::{StoreError, Tx, changes, epoch, log};

/// Called after each commit with what was appended; must not block.
pub type CommitHint = Box<dyn Fn(&[Position]) + Send + Sync>;

/// The database of this process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    epoch: EpochHandle,
    hint: OnceLock<CommitHint>,
    history_ended: CancellationToken,
}

impl Database {
    /// The epoch may become known later, before the first transaction.
    pub fn new(pool: Pool, epoch: EpochHandle) -> Self {
        Self {
            shared: Arc::new(Shared {
                pool,
                epoch,
                hint: OnceLock::new(),
                history_ended: CancellationToken::new(),
            }),
        }
    }

    pub fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    /// Borrows a connection for one transaction, with every statement prepared.
    pub async fn borrow(&self, deadline: Deadline) -> Result<Tx, StoreError> {
        let tx = self.borrow_bare(deadline).await?;
        deadline
            .run(tx.warm(&changes::STATEMENTS))
            .await
            .map_err(|_| StoreError::Deadline)??;
        Ok(tx)
    }

    /// Borrows a connection for single statements outside of transactions.
    pub async fn borrow_bare(&self, deadline: Deadline) -> Result<Tx, StoreError> {
        let client = postgres::get_within(&self.shared.pool, deadline)
            .await
            .map_err(StoreError::Borrow)?;
        Ok(Tx::new(client))
    }

    /// The epoch that this process started with, once it is known.
    pub fn started_with(&self) -> Option<Epoch> {
        self.shared.epoch.get()
    }

    /// The epoch that this process started with: known before any request is accepted.
    pub fn epoch(&self) -> Epoch {
        self.started_with()
            .expect("no request is accepted before the epoch is known")
    }

    /// The epoch that the database holds now.
    pub async fn read_epoch(&self, deadline: Deadline) -> Result<Epoch, StoreError> {
        let tx = self.borrow_bare(deadline).await?;
        let read = deadline.run(epoch::read(&tx)).await;
        read.unwrap_or(Err(StoreError::Deadline))
    }

    /// The head of each lane: at or above everything that was decided before.
    pub async fn heads(&self, deadline: Deadline) -> Result<Vec<Position>, StoreError> {
        let tx = self.borrow(deadline).await?;
        let heads = deadline.run(log::heads(&tx)).await;
        heads.unwrap_or(Err(StoreError::Deadline))
    }

    /// Sets who is notified of commits; once.
    pub fn on_commit(&self, hint: CommitHint) {
        // A second start-up cannot happen, and the first hint would still be right.
        let _ = self.shared.hint.set(hint);
    }

    /// To be called after every commit that appended.
    pub fn committed(&self, positions: &[Position]) {
        if let Some(hint) = self.shared.hint.get().filter(|_| !positions.is_empty()) {
            hint(positions);
        }
    }

    /// Cancelled once the database holds another history than the one this process started with:
    /// the process has to end.
    pub fn history_ended(&self) -> CancellationToken {
        self.shared.history_ended.clone()
    }

    /// To be called on every error of the store that says so (`StoreError::is_epoch_change`).
    pub fn end_of_history(&self) {
        self.shared.history_ended.cancel();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("pool", &self.shared.pool.status())
            .finish_non_exhaustive()
    }
}
