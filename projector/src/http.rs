//! What operators may ask a projector: lag, builds, dead letters. Nothing here changes anything.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use chassis::problem::ApiError;
use chassis::watermark_tail::WatermarkTail;
use chrono::{DateTime, Utc};
use schemas::watermark::{BuildState, ViewState};
use serde::Serialize;
use serde_json::json;
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

#[derive(Debug, Serialize)]
struct BuildAnswer<'a> {
    view: &'a str,
    build: u32,
    index: Option<&'a str>,
    version: Option<u32>,
    state: &'static str,
    visible_events: u64,
    announced_at: Option<DateTime<Utc>>,
    retired_at: Option<DateTime<Utc>>,
}

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
    let answer = tail.read(|state| {
        let builds = state.views().flat_map(|(name, view)| {
            view.builds
                .iter()
                .map(move |(number, build)| answer_of(name, view, *number, build))
        });
        json!({"items": builds.collect::<Vec<_>>()})
    });
    Ok(HttpResponse::Ok().json(answer))
}

async fn dead_letters(started: web::Data<Started>) -> Result<HttpResponse, ApiError> {
    let Sources { dead_letters, .. } = sources(&started)?;
    let letters = dead_letters.list().await;
    let letters = letters.map_err(|error| ApiError::unavailable("elasticsearch", error))?;
    Ok(HttpResponse::Ok().json(json!({"items": letters})))
}

fn sources(started: &Started) -> Result<Sources, ApiError> {
    let sources = started.borrow().clone();
    sources.ok_or_else(|| ApiError::unavailable("epoch", "the service is starting"))
}

fn answer_of<'a>(
    name: &'a str,
    view: &ViewState,
    number: u32,
    build: &'a BuildState,
) -> BuildAnswer<'a> {
    let announced = build.announced.as_ref();
    let state = match () {
        () if view.active == Some(number) => "active",
        () if build.retired.is_some() => "retired",
        () if build.was_active => "left",
        () => "candidate",
    };
    BuildAnswer {
        view: name,
        build: number,
        index: announced.map(|announced| announced.index.as_str()),
        version: announced.map(|announced| announced.version),
        state,
        visible_events: build.visible.total(),
        announced_at: announced.map(|announced| announced.at),
        retired_at: build.retired.as_ref().map(|retired| retired.at),
    }
}
