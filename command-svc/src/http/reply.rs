//! Outcomes as responses: status, ETag, Location, and the tidemark raised to what was decided on.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, LOCATION};
use chassis::problem::ApiError;
use chassis::tidemark::Session;
use schemas::problem::{Problem, ProblemType};

use crate::execute::{Answer, ExecuteError, Outcome, Resource};

static IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Where nothing better is known.
const RETRY_MS: u64 = 1_000;

pub fn reply(outcome: Outcome, session: &Session) -> Result<HttpResponse, ApiError> {
    for position in outcome.positions {
        session.raise(position);
    }
    let replayed = outcome.replayed.then(|| {
        (
            IDEMPOTENCY_REPLAYED.clone(),
            HeaderValue::from_static("true"),
        )
    });
    let (status, resource, version) = match outcome.answer {
        Answer::Created { resource, version } => (StatusCode::CREATED, resource, version),
        Answer::Current { resource, version } => (StatusCode::OK, resource, version),
        Answer::Refused { problem } => {
            let error = ApiError::from(problem);
            return Err(match replayed {
                Some((name, value)) => error.with_header(name, value),
                None => error,
            });
        }
    };
    let mut response = HttpResponse::build(status);
    response.insert_header((ETAG, format!("\"{version}\"")));
    if let Some(header) = replayed {
        response.insert_header(header);
    }
    if let Some(location) = location(&resource).filter(|_| status == StatusCode::CREATED) {
        response.insert_header((LOCATION, location));
    }
    Ok(match resource {
        Resource::Category(category) => response.json(category),
        Resource::Product(product) => response.json(product),
        Resource::Stock(stock) => response.json(stock),
    })
}

fn location(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Category(category) => Some(format!("/v1/categories/{}", category.id)),
        Resource::Product(product) => Some(format!("/v1/products/{}", product.id)),
        Resource::Stock(_) => None,
    }
}

impl From<ExecuteError> for ApiError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Overloaded => {
                let detail = "too many commands are under way";
                let problem = Problem::new(ProblemType::TooManyRequests, detail);
                Self::from(problem.retry_after_ms(RETRY_MS))
            }
            ExecuteError::KeyReused => {
                let detail = "send each request with a key of its own";
                Self::new(ProblemType::IdempotencyKeyReused, detail)
            }
            ExecuteError::Busy(_)
            | ExecuteError::Unavailable(_)
            | ExecuteError::HistoryChanged(_) => Self::unavailable("postgres", error),
            ExecuteError::OutcomeUnknown(_) => {
                let detail = "look whether the command took effect before sending it again";
                let problem = Problem::new(ProblemType::OutcomeUnknown, detail);
                Self::from(problem.retry_after_ms(RETRY_MS)).caused_by(error)
            }
            ExecuteError::Failed(_) | ExecuteError::Kept(_) => Self::internal(error),
        }
    }
}
