//! Why a read is not answered, as the ladder says it: without HTTP, which `http` puts it into.

use schemas::problem::ProblemType;

use super::heads::HeadsError;
use super::judge::Gap;
use crate::gate::GateError;

#[derive(Debug, thiserror::Error)]
pub enum LadderError {
    #[error("the watermark topic is not followed yet")]
    Starting,
    /// Not in time: a retry may succeed.
    #[error("what the read needs is not visible yet")]
    NotYetVisible(Box<Gap>),
    #[error("too many reads wait for the lane heads that a foreign tidemark stands for")]
    TooManyForeign,
    #[error("a later event of the document is held until an operator retries it")]
    SubjectHeld,
    #[error("the tidemark names events that this history does not have")]
    HistoryChanged,
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error(transparent)]
    Elasticsearch(#[from] GateError),
    #[error("read a stored document")]
    Document(#[source] serde_json::Error),
}

impl LadderError {
    pub(super) fn not_yet_visible(gap: Gap) -> Self {
        Self::NotYetVisible(Box::new(gap))
    }

    /// What the client is told it is; its name is the label in metrics.
    pub fn problem_type(&self) -> ProblemType {
        match self {
            Self::NotYetVisible(_) | Self::TooManyForeign => ProblemType::NotYetVisible,
            Self::SubjectHeld => ProblemType::SubjectHeld,
            Self::HistoryChanged => ProblemType::HistoryChanged,
            Self::Starting | Self::Heads(_) => ProblemType::DependencyUnavailable,
            Self::Elasticsearch(GateError::Full) => ProblemType::TooManyRequests,
            Self::Elasticsearch(error) if error.is_transient() => {
                ProblemType::DependencyUnavailable
            }
            Self::Elasticsearch(_) | Self::Document(_) => ProblemType::Internal,
        }
    }
}
