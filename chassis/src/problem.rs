//! `ApiError`: a problem on its way to the client, with the cause that only the log sees.
//!
//! What the client reads and why it happened are two fields, so that no internal text leaks. The
//! server's middleware adds the path as `instance` and logs the cause, once, when it answers.

use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use schemas::problem::{Problem, ProblemType, Violation};

use crate::chain::Chain;

pub const PROBLEM_JSON: &str = "application/problem+json";

/// Where a dependency is away and nothing better is known.
const RETRY_UNAVAILABLE_MS: u64 = 1_000;

pub type Cause = Box<dyn Error + Send + Sync + 'static>;

pub struct ApiError(Box<Inner>);

struct Inner {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Cause>,
}

impl ApiError {
    pub fn new(problem_type: ProblemType, detail: impl Into<String>) -> Self {
        Problem::new(problem_type, detail).into()
    }

    /// 422 with every violation found.
    pub fn validation(violations: &[Violation]) -> Self {
        Problem::validation(violations).into()
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::NotFound, detail)
    }

    /// 500: something that should not happen did. The client learns nothing but that.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(
            ProblemType::Internal,
            "the failure was logged under the request's id",
        )
        .caused_by(cause)
    }

    /// 503: a server behind this one (`postgres`, `elasticsearch`, `kafka`) cannot be used.
    pub fn unavailable(dependency: &str, cause: impl Into<Cause>) -> Self {
        let detail = format!("{dependency} is not available");
        let problem = Problem::new(ProblemType::DependencyUnavailable, detail)
            .with("missing", [dependency])
            .retry_after_ms(RETRY_UNAVAILABLE_MS);
        Self::from(problem).caused_by(cause)
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// A header of the answer, such as `WWW-Authenticate` or `ETag`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// Logs it: an error where the fault is ours, a warning where something behind us failed. The
    /// rest is what clients do wrong, or a read that has to come back: counted, not worth a line.
    pub(crate) fn log(&self) {
        let problem = &self.0.problem;
        let cause = self
            .0
            .cause
            .as_ref()
            .map(|cause| Chain(cause.as_ref()).to_string());
        let (name, cause) = (
            problem.type_uri.as_str(),
            cause.as_deref().unwrap_or_default(),
        );
        match problem.status {
            500 => tracing::error!(problem.type = name, error = cause, "request failed"),
            501.. if self.0.cause.is_some() => {
                tracing::warn!(problem.type = name, error = cause, "request not served");
            }
            _ => tracing::debug!(problem.type = name, error = cause, "request refused"),
        }
    }
}

/// The body of a problem.
pub(crate) fn to_json(problem: &Problem) -> Vec<u8> {
    serde_json::to_vec(problem).expect("a problem is plain data")
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Inner {
            problem,
            headers: Vec::new(),
            cause: None,
        }))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.problem.type_uri, self.0.problem.detail)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("problem", &self.0.problem)
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if let Some(seconds) = retry_after_seconds(&self.0.problem) {
            response.insert_header((RETRY_AFTER, seconds));
        }
        for (name, value) in &self.0.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.body(to_json(&self.0.problem))
    }
}

/// `retry_after_ms`, rounded up to whole seconds as the header has them.
fn retry_after_seconds(problem: &Problem) -> Option<u64> {
    let milliseconds = problem.members.get("retry_after_ms")?.as_u64()?;
    Some(milliseconds.div_ceil(1_000).max(1))
}

/// The problem that says the same as a bare status.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    let (problem_type, detail) = match status {
        StatusCode::UNAUTHORIZED => (ProblemType::Unauthenticated, "a bearer token is needed"),
        StatusCode::FORBIDDEN => (ProblemType::Forbidden, "this is not allowed"),
        StatusCode::NOT_FOUND => (ProblemType::NotFound, "no resource has this path"),
        StatusCode::METHOD_NOT_ALLOWED => (
            ProblemType::MethodNotAllowed,
            "the Allow header names the methods",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            ProblemType::BodyTooLarge,
            "the body is larger than is taken here",
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (ProblemType::UnsupportedMediaType, "send application/json")
        }
        StatusCode::UNPROCESSABLE_ENTITY => (
            ProblemType::Validation,
            "the request does not fit the schema",
        ),
        StatusCode::TOO_MANY_REQUESTS => (ProblemType::TooManyRequests, "slow down and try again"),
        status if status.is_client_error() => {
            (ProblemType::Malformed, "the request cannot be read")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            (ProblemType::DependencyUnavailable, "try again in a moment")
        }
        _ => (
            ProblemType::Internal,
            "the failure was logged under the request's id",
        ),
    };
    Problem::new(problem_type, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_a_header_in_seconds() {
        let error: ApiError = Problem::new(ProblemType::NotYetVisible, "wait")
            .retry_after_ms(1_001)
            .into();
        let response = error.error_response();
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "2");
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn a_cause_is_never_part_of_what_the_client_reads() {
        let error = ApiError::internal("password authentication failed for hunter2");
        let body = String::from_utf8(to_json(error.problem())).unwrap();
        assert!(!body.contains("hunter2") && !error.to_string().contains("hunter2"));
        assert!(error.cause().is_some());
    }
}
