//! What every answer gets: a tidemark, a problem body where it is an error, an id, and a metric.
//!
//! From the inside out: `route_head_as_get`, `catch_panics`, `open_tidemark`, CORS, `finish`. So CORS headers are also
//! on what `open_tidemark` refuses, and `finish` sees everything, preflights included.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use futures::FutureExt;
use schemas::problem::{Problem, ProblemType};
use schemas::tidemark::Tidemark;
use tokio::time::Instant;

use super::correlation::{Correlation, X_REQUEST_ID};
use crate::clock;
use crate::prefer::Prefer;
use crate::problem::{ApiError, PROBLEM_JSON, of_status, to_json};
use crate::tidemark::{Session, TIDEMARK, Tides};

type Answer = Result<ServiceResponse<BoxBody>, Error>;

/// Paths that answer before the epoch is known.
const ALWAYS_OPEN: [&str; 5] = ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs"];

/// HEAD is answered wherever GET is, with the same status and headers. The connection remembers the
/// method and leaves the body out.
pub(super) async fn route_head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Answer {
    if *request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// A handler that panics is a 500, and the worker goes on.
pub(super) async fn catch_panics(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Answer {
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answer) => answer.map(ServiceResponse::map_into_boxed_body),
        Err(panic) => {
            metrics::counter!("tidemark_http_panics_total").increment(1);
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let cause = format!("handler panicked: {}", text.unwrap_or_default());
            Err(ApiError::internal(cause).into())
        }
    }
}

/// Opens the request's tokens, so that no handler runs on ones that are not ours.
pub(super) async fn open_tidemark(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Answer {
    match present(&request) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(error) => Ok(request.error_response(error).map_into_boxed_body()),
    }
}

fn present(request: &ServiceRequest) -> Result<(), ApiError> {
    let Some(tides) = request.app_data::<web::Data<Tides>>() else {
        return Ok(());
    };
    let Some(epoch) = tides.epoch() else {
        let open = ALWAYS_OPEN
            .iter()
            .any(|path| request.path().starts_with(path));
        let starting = || ApiError::unavailable("epoch", "the service is starting");
        return if open { Ok(()) } else { Err(starting()) };
    };
    let presented = tides.open(request.headers(), epoch)?;
    if let Some(session) = request.extensions().get::<Session>() {
        session.merge(&presented.tidemark);
    }
    if !presented.foreign.is_empty() {
        if Prefer::parse(request.headers()).is_strict() {
            let detail = "a presented tidemark is of another history; go on with the new one";
            return Err(ApiError::new(ProblemType::HistoryChanged, detail));
        }
        if let Some(session) = request.extensions().get::<Session>() {
            session.owe(&presented.foreign);
        }
    }
    request.extensions_mut().insert(presented);
    Ok(())
}

/// What has to be remembered of a request until its answer leaves.
struct Asked {
    session: Session,
    tides: Option<web::Data<Tides>>,
    request_id: String,
    path: String,
    method: Method,
    presented: bool,
    started: Instant,
}

/// Completes every answer, whichever layer made it.
pub(super) async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Answer {
    let tides = request.app_data::<web::Data<Tides>>().cloned();
    let session = Session::default();
    if let Some(epoch) = tides.as_ref().and_then(|tides| tides.epoch()) {
        session.start(Tidemark::new(epoch));
    }
    request.extensions_mut().insert(session.clone());
    let request_id = request
        .extensions()
        .get::<Correlation>()
        .map(|known| known.request_id.clone());
    let asked = Asked {
        session,
        tides,
        request_id: request_id.unwrap_or_default(),
        path: request.path().to_owned(),
        method: request.method().clone(),
        presented: request.headers().contains_key(&TIDEMARK),
        started: clock::instant(),
    };
    match next.call(request).await {
        Ok(response) => {
            let route = response.request().match_pattern();
            asked.record(route, response.status().as_u16());
            let (request, response) = response.map_into_boxed_body().into_parts();
            let problem = response.error().map(problem_of);
            Ok(ServiceResponse::new(
                request,
                asked.complete(response, problem),
            ))
        }
        Err(mut error) => {
            asked.record(None, error.as_response_error().status_code().as_u16());
            let problem = problem_of(&error);
            error.add_response_mapper(move |response| {
                asked.complete(response, Some(problem.clone()))
            });
            Err(error)
        }
    }
}

/// Ours as it is; one of the framework says no more than its status.
fn problem_of(error: &Error) -> Problem {
    match error.as_error::<ApiError>() {
        Some(ours) => ours.problem().clone(),
        None => of_status(error.as_response_error().status_code()),
    }
}

impl Asked {
    fn complete(&self, response: HttpResponse, problem: Option<Problem>) -> HttpResponse {
        let mut response = self.render_problem(response, problem);
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Tidemark"));
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(X_REQUEST_ID.clone(), id);
        }
        if self.presented && !holds(headers, "no-store") {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        }
        let tides = self.tides.as_ref();
        let token = tides.and_then(|tides| self.session.header(tides));
        if let Some(token) = token.and_then(|token| HeaderValue::from_str(&token).ok()) {
            headers.insert(TIDEMARK.clone(), token);
        }
        response
    }

    /// Writes the problem with its path. Bare error statuses, as of an unknown method, are
    /// problems too; a body that a handler wrote stays.
    fn render_problem(&self, response: HttpResponse, problem: Option<Problem>) -> HttpResponse {
        let status = response.status();
        let failed = status.is_client_error() || status.is_server_error();
        let bare = failed && !response.headers().contains_key(CONTENT_TYPE);
        let Some(mut problem) = problem.or_else(|| bare.then(|| of_status(status))) else {
            return response;
        };
        problem.status = status.as_u16();
        problem.instance = Some(self.path.clone());
        let mut response = response.set_body(BoxBody::new(to_json(&problem)));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.headers_mut().remove(CONTENT_LENGTH);
        response
    }

    fn record(&self, route: Option<String>, status: u16) {
        metrics::histogram!(
            "tidemark_http_request_seconds",
            "method" => method_label(&self.method),
            "route" => route.unwrap_or_else(|| "unmatched".to_owned()),
            "status" => status.to_string(),
        )
        .record(self.started.elapsed().as_secs_f64());
    }
}

fn holds(headers: &HeaderMap, directive: &str) -> bool {
    let value = headers
        .get(CACHE_CONTROL)
        .and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.contains(directive))
}

/// Methods are free text; labels must not be.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
