//! The id that joins logs, traces and events of one request, and the span that carries it.
//!
//! A client's `X-Request-Id` is taken where it is harmless text, else one is made. The span names
//! route, method and status, never addresses or query strings: they may hold personal data.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use tracing::Span;
use tracing_actix_web::RootSpanBuilder;

use crate::clock;
use crate::problem::ApiError;

const MAX_REQUEST_ID_CHARS: usize = 128;
const TRACEPARENT_CHARS: usize = 55;

pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an event keeps of the request that caused it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correlation {
    /// Also on the response, as `X-Request-Id`.
    pub request_id: String,
    /// W3C trace context, where the client sent a well-formed one.
    pub traceparent: Option<String>,
}

impl Correlation {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text(X_REQUEST_ID.as_str())
            .filter(|id| (1..=MAX_REQUEST_ID_CHARS).contains(&id.len()))
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))
            .map_or_else(|| clock::new_id().to_string(), str::to_owned);
        let traceparent = text("traceparent")
            .filter(|trace| trace.len() == TRACEPARENT_CHARS)
            .filter(|trace| {
                trace
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            })
            .map(str::to_owned);
        Self {
            request_id,
            traceparent,
        }
    }
}

impl FromRequest for Correlation {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_default()))
    }
}

/// Makes the root span of a request, and logs its error when it is answered.
#[derive(Debug)]
pub(super) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let correlation = Correlation::of(request.headers());
        let route = request.match_pattern();
        let span = tracing::info_span!(
            "request",
            http.method = %request.method(),
            http.route = route.as_deref().unwrap_or("unmatched"),
            http.status = tracing::field::Empty,
            request.id = correlation.request_id,
            trace.parent = correlation.traceparent.as_deref(),
        );
        request.extensions_mut().insert(correlation);
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let (status, error) = match outcome {
            Ok(response) => (response.status(), response.response().error()),
            Err(error) => (error.as_response_error().status_code(), Some(error)),
        };
        span.record("http.status", status.as_u16());
        match error.map(|error| (error, error.as_error::<ApiError>())) {
            Some((_, Some(problem))) => problem.log(),
            Some((error, None)) if status.is_server_error() => {
                tracing::error!(error = %error, "request failed");
            }
            Some((error, None)) => tracing::debug!(error = %error, "request refused"),
            None => tracing::debug!("request answered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::kept("order-42", true)]
    #[case::with_blank("order 42", false)]
    #[case::empty("", false)]
    fn a_request_id_is_kept_where_it_is_harmless(#[case] id: &str, #[case] kept: bool) {
        let request = TestRequest::default()
            .insert_header(("X-Request-Id", id))
            .to_http_request();
        let correlation = Correlation::of(request.headers());
        assert_eq!(correlation.request_id == id, kept);
        assert!(!correlation.request_id.is_empty());
    }
}
