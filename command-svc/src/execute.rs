//! Executing a command of any aggregate: one transaction that locks, reads, decides, writes rows
//! and appends events.
//!
//! Locks in this order: idempotency row, tree, rows by id, inserts by sku, lanes; the lanes last,
//! in the same round trip as COMMIT. Changes of products that arrive together share a transaction:
//! see `group_commit`. What ran into others is tried again within the deadline. Every
//! outcome names the positions of the log that it was decided on, refusals and replays too.

use std::sync::Arc;

use chassis::clock::{self, Deadline};
use schemas::event::Meta;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::config::MAX_RUNNING_COMMANDS;
use crate::metrics;
use crate::store::idempotency::IdempotencyKey;
use crate::store::{Attempts, Database, Repeat, StoreError};

mod answer;
mod attempt;
mod decision;
mod expected;
mod group_commit;
mod outcome;
mod typed_answer;

pub use answer::{Answer, Representation, Resource, ToProblem};
use attempt::Attempt;
pub use expected::Expected;
use group_commit::{GroupCommit, Verdict};
pub use outcome::{ExecuteError, Outcome};

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
    /// Commands will run on the current runtime, which has to be that of the database's
    /// connections.
    pub fn new(database: Database) -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime: Handle::current(),
                database,
                under_way: Semaphore::new(MAX_RUNNING_COMMANDS),
                group_commit: GroupCommit::default(),
            }),
        }
    }

    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Runs beside the connections, not on the caller's thread: a command wakes its caller once,
    /// and runs to its end if the caller goes away.
    pub async fn execute<A: Resource>(
        &self,
        id: A::Id,
        command: A::Command,
        context: Context,
    ) -> Result<Outcome, ExecuteError> {
        let commands = self.clone();
        let task = async move { commands.execute_here::<A>(id, &command, &context).await };
        let task = self.shared.runtime.spawn(task.in_current_span());
        match task.await {
            Ok(executed) => executed,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is stopping.
                Err(_) => Err(ExecuteError::OutcomeUnknown(StoreError::Deadline)),
            },
        }
    }

    async fn execute_here<A: Resource>(
        &self,
        id: A::Id,
        command: &A::Command,
        context: &Context,
    ) -> Result<Outcome, ExecuteError> {
        let started = clock::instant();
        let executed = match self.shared.under_way.try_acquire() {
            Ok(_permit) => self.execute_within::<A>(id, command, context).await,
            Err(_) => Err(ExecuteError::Overloaded),
        };
        let outcome = executed
            .as_ref()
            .map_or_else(ExecuteError::label, Outcome::label);
        metrics::executed(A::command_name(command), outcome, started.elapsed());
        executed
    }

    async fn execute_within<A: Resource>(
        &self,
        id: A::Id,
        command: &A::Command,
        context: &Context,
    ) -> Result<Outcome, ExecuteError> {
        let at = clock::now();
        match self.join_group::<A>(id, command, context, at).await {
            Verdict::Committed(outcome) => return Ok(outcome),
            Verdict::Unknown(error) => return Err(ExecuteError::OutcomeUnknown(error)),
            Verdict::Alone if context.deadline.has_passed() => {
                return Err(ExecuteError::Busy(StoreError::Deadline));
            }
            Verdict::Alone => {}
        }
        let attempt = Attempt::<A> {
            database: self.database(),
            id,
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
