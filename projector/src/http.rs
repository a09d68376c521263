//! What operators may ask a projector: router and OpenAPI document come from one list.

use actix_web::HttpResponse;
use actix_web::web;
use chassis::problem::ApiError;
use chassis::watermark_tail::WatermarkTail;
use schemas::operations::{BuildStatus, DeadLetter, LagReport, Listing};
use tokio::sync::watch;
use utoipa::IntoResponses;

use crate::board::Board;
use crate::dead_letter::DeadLetters;
use crate::lag::lag_report;

/// What answers are made of, once the history is known.
#[derive(Debug, Clone)]
pub struct Sources {
    pub board: Board,
    pub tail: WatermarkTail,
    pub dead_letters: DeadLetters,
}

/// Empty until the process has started.
pub type Started = watch::Receiver<Option<Sources>>;

chassis::routes! {
    #[openapi(info(
        title = "Tidemark projector",
        description = "What operators may ask: how far the views are behind, which builds there are, \
                       which events could not be projected. Nothing here changes anything."
    ))]
    lag,
    builds,
    dead_letters,
}

/// Problems (RFC 9457) that every question may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
enum Refusals {
    /// The process is starting, or a server is away: Retry-After says when.
    #[response(status = 503)]
    Unavailable,
}

/// How far each lane of each build is behind.
#[utoipa::path(
    get,
    path = "/v1/lag",
    tag = "operations",
    responses((status = 200, description = "of the builds that are kept up to date", body = LagReport), Refusals)
)]
async fn lag(started: web::Data<Started>) -> Result<HttpResponse, ApiError> {
    let Sources { board, tail, .. } = sources(&started)?;
    Ok(HttpResponse::Ok().json(lag_report(&board, &tail)))
}

/// The builds of all views.
#[utoipa::path(
    get,
    path = "/v1/builds",
    tag = "operations",
    responses((status = 200, description = "retired ones too", body = Listing<BuildStatus>), Refusals)
)]
async fn builds(started: web::Data<Started>) -> Result<HttpResponse, ApiError> {
    let Sources { tail, .. } = sources(&started)?;
    let now = tail.now();
    let items = tail.read(|state| {
        let views = state.views();
        let builds = views.flat_map(|(name, view)| BuildStatus::of_view(name, view, now));
        builds.collect()
    });
    Ok(HttpResponse::Ok().json(Listing::<BuildStatus> { items }))
}

/// Events that could not be folded, or whose documents were refused.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    tag = "operations",
    responses((status = 200, description = "the latest first", body = Listing<DeadLetter>), Refusals)
)]
async fn dead_letters(started: web::Data<Started>) -> Result<HttpResponse, ApiError> {
    let Sources { dead_letters, .. } = sources(&started)?;
    let letters = dead_letters.list().await;
    let items = letters.map_err(|error| ApiError::unavailable("elasticsearch", error))?;
    Ok(HttpResponse::Ok().json(Listing { items }))
}

fn sources(started: &Started) -> Result<Sources, ApiError> {
    let sources = started.borrow().clone();
    sources.ok_or_else(|| ApiError::unavailable("epoch", "the service is starting"))
}
