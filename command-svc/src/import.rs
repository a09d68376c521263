//! Imports: a stream of lines becomes products, batch by batch, and a stream of answers.
//!
//! Pure parts read lines (`body`, `lines`, `product_line`), bound what waits (`heap`, `outbox`),
//! put them together (`batch`, `tree`, `pace`) and decide (`plan`) by the rules of the commands;
//! `transaction` writes a batch and tries again, `run` moves it all along.

use std::sync::Arc;

use backon::Retryable;
use chassis::clock::Deadline;
use chassis::retry;
use schemas::lane::Position;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::config::{
    HEADS_ATTEMPT_TIMEOUT, HEADS_TIMEOUT, MAX_IMPORT_TRANSACTIONS, MAX_RUNNING_IMPORTS,
};
use crate::store::{Database, StoreError};

mod batch;
mod body;
mod heap;
mod lines;
mod outbox;
mod pace;
mod plan;
mod product_line;
mod tree;

mod imported;
mod run;
mod transaction;

pub use body::Coding;
use run::Run;
pub use run::{Client, Piece, Stopped};

mod metrics;

/// Runs imports. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Imports {
    database: Database,
    runtime: Handle,
    stop: CancellationToken,
    transactions: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Imports {
    /// Imports run on the current runtime, which has to be the process's shared one.
    pub fn new(database: Database, stop: CancellationToken) -> Self {
        metrics::describe();
        Self {
            database,
            runtime: Handle::current(),
            stop,
            transactions: Arc::new(Semaphore::new(MAX_IMPORT_TRANSACTIONS)),
            running: Arc::new(Semaphore::new(MAX_RUNNING_IMPORTS)),
        }
    }

    /// A permit for one more import; none where too many are running.
    pub fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.running).try_acquire_owned().ok()
    }

    /// Imports what this client sends, on the runtime that all imports share.
    pub fn spawn(&self, client: Client, permit: OwnedSemaphorePermit) {
        let run = Run::new(self.clone(), client);
        self.runtime.spawn(async move {
            run.run().await;
            drop(permit);
        });
    }

    /// The head of every lane: at or above all that was decided before.
    async fn heads(&self) -> Result<Vec<Position>, StoreError> {
        let deadline = Deadline::within(HEADS_TIMEOUT);
        let attempt = || async {
            let attempt = deadline.at_most(HEADS_ATTEMPT_TIMEOUT);
            self.database.heads(attempt).await
        };
        attempt.retry(retry::within(deadline)).await
    }
}
