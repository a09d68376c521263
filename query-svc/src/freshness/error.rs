//! Errors of the ladder. They are free of HTTP; `http/problem.rs` turns them into problems.

use schemas::problem::ProblemType;

use super::heads::HeadsError;
use super::judge::Gap;
use crate::admission::AdmissionError;

#[derive(Debug, thiserror::Error)]
pub enum LadderError {
    #[error("the watermark topic is not being read yet")]
    Starting,
    #[error("what the read needs did not become visible in time")]
    NotYetVisible(Box<Gap>),
    #[error("too many reads with foreign tidemarks are waiting")]
    TooManyForeign,
    #[error("a later event of the document is held for an operator")]
    SubjectHeld,
    #[error("the tidemark names events beyond the lane heads")]
    HistoryChanged,
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error(transparent)]
    Elasticsearch(#[from] AdmissionError),
    #[error("read a stored document")]
    Document(#[source] serde_json::Error),
}

impl LadderError {
    pub(super) fn not_yet_visible(gap: Gap) -> Self {
        Self::NotYetVisible(Box::new(gap))
    }

    /// The problem that the client is told. Its name is a label in metrics.
    pub fn problem_type(&self) -> ProblemType {
        match self {
            Self::NotYetVisible(_) | Self::TooManyForeign => ProblemType::NotYetVisible,
            Self::SubjectHeld => ProblemType::SubjectHeld,
            Self::HistoryChanged => ProblemType::HistoryChanged,
            Self::Starting | Self::Heads(_) => ProblemType::DependencyUnavailable,
            Self::Elasticsearch(AdmissionError::QueueFull) => ProblemType::TooManyRequests,
            Self::Elasticsearch(error) if error.is_transient() => {
                ProblemType::DependencyUnavailable
            }
            Self::Elasticsearch(_) | Self::Document(_) => ProblemType::Internal,
        }
    }
}
