//! Executing a command: one transaction that locks, reads, decides, writes rows and appends events.
//!
//! Locks in this order: idempotency row, tree, rows by id, inserts by sku, lanes; the lanes last,
//! in the same round trip as COMMIT. Changes of products that arrive together share a transaction:
//! see `group_commit`. What ran into others is tried again within the deadline. Every
//! outcome names the positions of the log that it was decided on, refusals and replays too.

use std::sync::Arc;

use chassis::clock::{self, Deadline};
use schemas::event::Meta;
use schemas::id::{CategoryId, ProductId};
use schemas::lane::Position;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::domain::{category as category_rules, product as product_rules, stock as stock_rules};
use crate::metrics;
use crate::store::idempotency::IdempotencyKey;
use crate::store::{Attempts, Database, Repeat, StoreError};

mod answer;
mod attempt;
mod category;
mod decision;
mod expected;
mod group_commit;
mod product;
mod stock;

pub use answer::{Answer, Resource, ToProblem};
use attempt::Attempt;
pub use expected::Expected;
use group_commit::{GroupCommit, Verdict};

/// Commands under way at most: with more, waiting for a connection would take all of a deadline.
const UNDER_WAY: usize = 1_024;

/// What a client wants, and of what.
#[derive(Debug, Clone)]
pub enum Command {
    Category(CategoryId, category_rules::Command),
    Product(ProductId, product_rules::Command),
    Stock(ProductId, stock_rules::Command),
}

/// What comes with a command.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who and in which request, for the events.
    pub meta: Meta,
    /// Of the request; problems name it.
    pub path: String,
    pub expected: Expected,
    pub key: Option<IdempotencyKey>,
    pub deadline: Deadline,
}

/// An answer, and where the log stood for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub answer: Answer,
    /// Of what was appended and of what it was decided on.
    pub positions: Vec<Position>,
    /// This execution appended events.
    pub appended: bool,
    /// The answer was given before, under the same key.
    pub replayed: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error("more than {UNDER_WAY} commands are under way")]
    Overloaded,
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// In every try within the deadline.
    #[error("the answer under the idempotency key was removed before it was read")]
    KeyExpired,
    /// Others held the locks, or no connection came free, for the whole of the deadline.
    #[error("execute the command before its deadline")]
    Busy(#[source] StoreError),
    #[error("reach the database")]
    Unavailable(#[source] StoreError),
    #[error("learn whether the command was committed")]
    OutcomeUnknown(#[source] StoreError),
    #[error("append to the history that this process started with")]
    HistoryChanged(#[source] StoreError),
    #[error("execute the command")]
    Failed(#[source] StoreError),
    #[error("read the answer kept under the idempotency key")]
    Kept(#[source] serde_json::Error),
}

/// Executes commands. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Commands {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    database: Database,
    under_way: Semaphore,
    group_commit: GroupCommit,
}

impl Commands {
    /// Commands will run on the current runtime, which has to be that of the database's connections.
    pub fn new(database: Database) -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime: Handle::current(),
                database,
                under_way: Semaphore::new(UNDER_WAY),
                group_commit: GroupCommit::default(),
            }),
        }
    }

    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Runs beside the connections, not on the caller's thread: a command wakes its caller once,
    /// and goes on to its end should the caller go away.
    pub async fn execute(
        &self,
        command: Command,
        context: Context,
    ) -> Result<Outcome, ExecuteError> {
        let commands = self.clone();
        let task = async move { commands.execute_here(&command, &context).await };
        let task = self.shared.runtime.spawn(task.in_current_span());
        match task.await {
            Ok(executed) => executed,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down.
                Err(_) => Err(ExecuteError::OutcomeUnknown(StoreError::Deadline)),
            },
        }
    }

    async fn execute_here(
        &self,
        command: &Command,
        context: &Context,
    ) -> Result<Outcome, ExecuteError> {
        let started = clock::instant();
        let executed = match self.shared.under_way.try_acquire() {
            Ok(_permit) => self.execute_within(command, context).await,
            Err(_) => Err(ExecuteError::Overloaded),
        };
        metrics::executed(command, &executed, started.elapsed());
        executed
    }

    async fn execute_within(
        &self,
        command: &Command,
        context: &Context,
    ) -> Result<Outcome, ExecuteError> {
        let at = clock::now();
        match self.join_group(command, context, at).await {
            Verdict::Committed(outcome) => return Ok(outcome),
            Verdict::Unknown(error) => return Err(ExecuteError::OutcomeUnknown(error)),
            Verdict::Alone if context.deadline.has_passed() => {
                return Err(ExecuteError::Busy(StoreError::Deadline));
            }
            Verdict::Alone => {}
        }
        let attempt = Attempt {
            database: self.database(),
            command,
            context,
            at,
        };
        let keyed = context.key.is_some();
        let repeat = Repeat::Command { keyed };
        let mut attempts = Attempts::new(context.deadline, repeat, metrics::retried);
        loop {
            match attempt.run().await {
                // The client asked once: its own lost answer is not a replay to it.
                Ok(outcome) => {
                    return Ok(Outcome {
                        replayed: outcome.replayed && !attempts.may_be_committed(),
                        ..outcome
                    });
                }
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commands")
            .field("database", &self.shared.database)
            .finish_non_exhaustive()
    }
}
