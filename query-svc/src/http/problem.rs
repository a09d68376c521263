//! Errors as problems: what the client is told, and when to retry.

use chassis::problem::ApiError;
use schemas::problem::{Problem, ProblemType};

use crate::admission::AdmissionError;
use crate::config::{RETRY_LATER_MS, RETRY_SOON_MS};
use crate::freshness::{Gap, LadderError};
use crate::search::Refused;

impl From<LadderError> for ApiError {
    fn from(error: LadderError) -> Self {
        let problem_type = error.problem_type();
        let later = |detail: &str| {
            let problem = Problem::new(problem_type, detail).retry_after_ms(RETRY_LATER_MS);
            Self::from(problem)
        };
        match error {
            LadderError::Starting => Self::unavailable("kafka", "the service is starting"),
            LadderError::NotYetVisible(gap) => not_yet_visible(problem_type, &gap).into(),
            LadderError::TooManyForeign => {
                later("too many reads with a tidemark of another history are waiting")
            }
            LadderError::SubjectHeld => {
                later("a later change of this document waits for an operator")
            }
            LadderError::HistoryChanged => Self::new(
                problem_type,
                "the tidemark names events that this history does not have; continue with the \
                 tidemark of this answer",
            ),
            LadderError::Heads(error) => Self::unavailable("postgres", error),
            LadderError::Elasticsearch(error @ AdmissionError::QueueFull) => {
                later("too many reads are waiting to be answered in time").caused_by(error)
            }
            LadderError::Elasticsearch(error) if error.is_transient() => {
                Self::unavailable("elasticsearch", error)
            }
            LadderError::Elasticsearch(error) => Self::internal(error),
            error @ LadderError::Document(_) => Self::internal(error),
        }
    }
}

/// 422 with every query parameter that is wrong.
pub(super) fn invalid_parameters(refused: Vec<Refused>) -> ApiError {
    let names: Vec<&str> = refused
        .iter()
        .map(|refused| refused.parameter.as_str())
        .collect();
    let detail = format!("not acceptable: query parameter {}", names.join(", "));
    let problem = Problem::new(ProblemType::Validation, detail);
    problem.with("errors", refused).into()
}

fn not_yet_visible(problem_type: ProblemType, gap: &Gap) -> Problem {
    let detail = if gap.without_build {
        "this view has no active build yet"
    } else if gap.lanes.is_empty() {
        "this replica is behind the one that answered you last"
    } else {
        "what you wrote or saw is not visible here yet"
    };
    let wait = if gap.stalled {
        RETRY_LATER_MS
    } else {
        RETRY_SOON_MS
    };
    Problem::new(problem_type, detail)
        .retry_after_ms(wait)
        .with("lanes_behind", &gap.lanes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::freshness::HeadsError;

    #[rstest]
    #[case::starting(LadderError::Starting)]
    #[case::behind(LadderError::NotYetVisible(Box::default()))]
    #[case::foreign(LadderError::TooManyForeign)]
    #[case::held(LadderError::SubjectHeld)]
    #[case::lost_history(LadderError::HistoryChanged)]
    #[case::no_heads(LadderError::Heads(HeadsError::NoEpoch))]
    #[case::full(LadderError::Elasticsearch(AdmissionError::QueueFull))]
    #[case::open(LadderError::Elasticsearch(AdmissionError::CircuitOpen))]
    #[case::late(LadderError::Elasticsearch(AdmissionError::DeadlinePassed))]
    fn an_error_is_counted_as_the_problem_that_the_client_is_told(#[case] error: LadderError) {
        let problem_type = error.problem_type();
        let problem = ApiError::from(error);
        assert!(problem.problem().is(problem_type), "{problem}");
    }
}
