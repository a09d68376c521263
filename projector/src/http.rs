//! What operators may ask a projector: lag, builds, dead letters. Nothing here changes anything.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use chassis::clock;
use chassis::problem::ApiError;
use chassis::watermark_tail::WatermarkTail;
use schemas::operations::{BuildStatus, Listing};
use tokio::sync::watch;

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

pub fn routes(config: &mut ServiceConfig, started: &Started) {
    config
        .app_data(web::Data::new(started.clone()))
        .service(web::resource("/v1/lag").route(web::get().to(lag)))
        .service(web::resource("/v1/builds").route(web::get().to(builds)))
        .service(web::resource("/v1/dead-letters").route(web::get().to(dead_letters)));
}

async fn lag(started: web::Data<Started>) -> Result<HttpResponse, ApiError> {
    let Sources { board, tail, .. } = sources(&started)?;
    Ok(HttpResponse::Ok().json(lag_report(&board, &tail)))
}

async fn builds(started: web::Data<Started>) -> Result<HttpResponse, ApiError> {
    let Sources { tail, .. } = sources(&started)?;
    let now = clock::now();
    let items = tail.read(|state| {
        let views = state.views();
        let builds = views.flat_map(|(name, view)| BuildStatus::of_view(name, view, now));
        builds.collect()
    });
    Ok(HttpResponse::Ok().json(Listing::<BuildStatus> { items }))
}

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
