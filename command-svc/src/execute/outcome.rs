//! The outcome of a command, and its label in metrics.

use schemas::lane::Position;

use super::Answer;
use crate::config::MAX_RUNNING_COMMANDS;
use crate::store::StoreError;

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
    #[error("more than {MAX_RUNNING_COMMANDS} commands are running")]
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

impl Outcome {
    /// The label in metrics.
    pub(super) fn label(&self) -> &'static str {
        match &self.answer {
            _ if self.replayed => "replayed",
            Answer::Created(_) => "created",
            Answer::Current(_) if self.appended => "changed",
            Answer::Current(_) => "unchanged",
            Answer::Refused(problem) => refusal_label(problem.status),
            // The client's own first answer, found again after its connection was lost.
            Answer::Kept(sent) => match sent.status {
                201 => "created",
                200 => "changed",
                status => refusal_label(status),
            },
        }
    }
}

impl ExecuteError {
    /// The label in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::KeyReused => "key_reused",
            Self::Busy(_) | Self::KeyExpired => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::HistoryChanged(_) | Self::Failed(_) | Self::Kept(_) => "failed",
        }
    }
}

fn refusal_label(status: u16) -> &'static str {
    match status {
        404 => "not_found",
        412 => "mismatch",
        _ => "refused",
    }
}
