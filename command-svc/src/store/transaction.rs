//! A transaction from its first statement to its end, and trying it again.
//!
//! A transaction that failed has committed nothing, or its outcome is unknown: the connection broke
//! between COMMIT and its answer. Whether it may be tried again after that is up to who tries.

use std::convert::Infallible;

use backon::{BackoffBuilder, ExponentialBackoff};
use chassis::clock::Deadline;
use chassis::postgres::Fault;
use chassis::retry;

use super::{Database, StoreError, Tx};
use crate::config::MAX_LOST_CONNECTIONS;

/// Why a transaction has no result.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError<A> {
    /// Nothing was committed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It may have been committed, in this try or an earlier one.
    #[error("learn whether the transaction was committed")]
    Unknown(#[source] StoreError),
    /// Given up by who ran it; nothing was committed.
    #[error(transparent)]
    Aborted(A),
}

/// For what other reason than the store a transaction is given up.
pub trait AbortReason: std::error::Error + 'static {
    /// The label in metrics of further tries.
    fn label(&self) -> &'static str;

    /// True where the same transaction may succeed a moment later.
    fn is_transient(&self) -> bool;
}

/// After what a transaction may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A command happens once. Where it may have been committed, its idempotency key shows it.
    Command { keyed: bool },
    /// Nothing changes where it was committed already: only a programming error is not repeated.
    Idempotent,
}

/// The tries of one transaction, within a deadline.
#[derive(Debug)]
pub struct Attempts {
    deadline: Deadline,
    repeat: Repeat,
    pauses: ExponentialBackoff,
    count: fn(&'static str),
    lost_connections: u32,
    may_be_committed: bool,
}

impl Database {
    /// Runs a transaction; if it fails, ends it and says whether it may have been committed. A
    /// database that holds another history by now ends the process.
    pub async fn settle<T, A: AbortReason>(
        &self,
        tx: &Tx,
        deadline: Deadline,
        transaction: impl Future<Output = Result<T, TransactionError<A>>>,
    ) -> Result<T, TransactionError<A>> {
        let ran = deadline.run(transaction).await;
        let error = match ran.unwrap_or(Err(StoreError::Deadline.into())) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let was_committing = tx.is_committing();
        let is_lost = error.fault().is_some_and(Fault::is_unavailable);
        if !is_lost {
            // Where this fails too, the connection is closed: see `Tx`.
            let _ = deadline.run(tx.rollback()).await;
        }
        if error.is_epoch_change() {
            self.end_of_history();
        }
        match error {
            TransactionError::Store(error)
                if was_committing && (is_lost || !error.is_from_server()) =>
            {
                Err(TransactionError::Unknown(error))
            }
            other => Err(other),
        }
    }
}

impl Attempts {
    /// `count` is called with what ended a try that another one follows.
    pub fn new(deadline: Deadline, repeat: Repeat, count: fn(&'static str)) -> Self {
        Self {
            deadline,
            repeat,
            pauses: retry::within(deadline).build(),
            count,
            lost_connections: 0,
            may_be_committed: false,
        }
    }

    /// Pauses before the next try. Gives the error back where there is no time for one, or where it
    /// could not help or might do twice what is to be done once.
    pub async fn again<A: AbortReason>(
        &mut self,
        error: TransactionError<A>,
    ) -> Result<(), TransactionError<A>> {
        let may_repeat = self.may_repeat(&error);
        let left = self.deadline.remaining();
        let pause = self.pauses.next();
        let Some(pause) = pause.filter(|pause| may_repeat && *pause < left) else {
            return Err(self.given_up(error));
        };
        (self.count)(error.label());
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// True once the outcome of a try is unknown.
    pub fn may_be_committed(&self) -> bool {
        self.may_be_committed
    }

    fn may_repeat<A: AbortReason>(&mut self, error: &TransactionError<A>) -> bool {
        let is_unknown = matches!(error, TransactionError::Unknown(_));
        self.may_be_committed |= is_unknown;
        match error {
            TransactionError::Store(cause) | TransactionError::Unknown(cause) => {
                let fault = cause.fault();
                self.lost_connections += u32::from(fault == Fault::ConnectionLost);
                let may_reconnect = self.lost_connections <= MAX_LOST_CONNECTIONS;
                self.repeat.allows(fault, is_unknown, may_reconnect)
            }
            TransactionError::Aborted(reason) => reason.is_transient(),
        }
    }

    /// What is unknown of an earlier try stays unknown.
    fn given_up<A>(&self, error: TransactionError<A>) -> TransactionError<A> {
        match error {
            TransactionError::Store(error) if self.may_be_committed => {
                TransactionError::Unknown(error)
            }
            other => other,
        }
    }
}

impl Repeat {
    fn allows(self, fault: Fault, is_unknown: bool, may_reconnect: bool) -> bool {
        match self {
            Self::Idempotent => fault != Fault::Other,
            Self::Command { keyed } if is_unknown => keyed,
            Self::Command { .. } => {
                fault.is_transient() || (fault == Fault::ConnectionLost && may_reconnect)
            }
        }
    }
}

impl<A: AbortReason> TransactionError<A> {
    /// What happened, as a label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Store(error) | Self::Unknown(error) => error.fault().name(),
            Self::Aborted(reason) => reason.label(),
        }
    }
}

impl<A> TransactionError<A> {
    /// Of the store.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Store(error) | Self::Unknown(error) => Some(error.fault()),
            Self::Aborted(_) => None,
        }
    }

    /// True where another history has begun: no try helps.
    pub fn is_epoch_change(&self) -> bool {
        match self {
            Self::Store(error) | Self::Unknown(error) => error.is_epoch_change(),
            Self::Aborted(_) => false,
        }
    }
}

/// For transactions that are never given up.
impl AbortReason for Infallible {
    fn label(&self) -> &'static str {
        match *self {}
    }

    fn is_transient(&self) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests;
