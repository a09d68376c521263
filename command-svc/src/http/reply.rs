//! Outcomes as responses, and the tidemark raised to what they were decided on.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use chassis::problem::ApiError;
use chassis::tidemark::Session;
use schemas::problem::{Problem, ProblemType};

use crate::config::RETRY_AFTER_MS;
use crate::execute::{ExecuteError, Outcome};
use crate::parse::Invalid;
use crate::store::idempotency::SentAnswer;

static IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub fn reply(outcome: Outcome, path: &str, session: &Session) -> Result<HttpResponse, ApiError> {
    for position in outcome.positions {
        session.raise(position);
    }
    let SentAnswer {
        status,
        headers,
        body,
    } = outcome.answer.into_sent(path);
    let status = StatusCode::from_u16(status).map_err(ApiError::internal)?;
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        response.insert_header((name, value));
    }
    if outcome.replayed {
        response.insert_header((IDEMPOTENCY_REPLAYED.clone(), "true"));
    }
    Ok(response.body(body))
}

impl From<Invalid> for ApiError {
    fn from(Invalid(violations): Invalid) -> Self {
        Self::validation(&violations)
    }
}

impl From<ExecuteError> for ApiError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Overloaded => {
                let detail = "too many commands are running";
                let problem = Problem::new(ProblemType::TooManyRequests, detail);
                Self::from(problem.retry_after_ms(RETRY_AFTER_MS))
            }
            ExecuteError::KeyReused => {
                let detail = "send each request with a key of its own";
                Self::new(ProblemType::IdempotencyKeyReused, detail)
            }
            ExecuteError::KeyExpired => {
                let detail = "the answer under this key was removed while it was read";
                let problem = Problem::new(ProblemType::DependencyUnavailable, detail);
                Self::from(problem.retry_after_ms(RETRY_AFTER_MS)).caused_by(error)
            }
            ExecuteError::Busy(_)
            | ExecuteError::Unavailable(_)
            | ExecuteError::HistoryChanged(_) => Self::unavailable("postgres", error),
            ExecuteError::OutcomeUnknown(_) => {
                let detail = "look whether the command took effect before sending it again";
                let problem = Problem::new(ProblemType::OutcomeUnknown, detail);
                Self::from(problem.retry_after_ms(RETRY_AFTER_MS)).caused_by(error)
            }
            ExecuteError::Failed(_) | ExecuteError::Kept(_) => Self::internal(error),
        }
    }
}
