//! Explains a tidemark: which views of this replica cover it, and which lanes are behind.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use chassis::clock::Deadline;
use chassis::problem::ApiError;
use schemas::lane::Lane;
use schemas::rest::query::{LaneBehind, TidemarkState, ViewState};
use schemas::watermark::{self, WatermarkState};

use super::Refusals;
use crate::freshness::{Ladder, Lag, Need, ReadOptions};

/// Explains the tidemark that the request carries. Waits for nothing.
#[utoipa::path(
    get,
    path = "/v1/tidemark",
    tag = "tidemark",
    params(
        ("Tidemark" = Option<String>, Header, description = "up to 8 tidemarks, comma-separated"),
    ),
    responses(
        (status = 200, description = "how far each view is, and how far it would have to be",
         body = TidemarkState),
        Refusals,
    )
)]
pub(super) async fn state(
    options: ReadOptions,
    ladder: web::Data<Ladder>,
) -> Result<HttpResponse, ApiError> {
    let need = ladder
        .need(&options, Deadline::within(options.budget()))
        .await?;
    let tail = ladder.tail()?;
    let now = tail.now();
    let mut explained = tail.read(|state| explain(state, &need, now));
    explained.offset = options.presented.tidemark.offset();
    Ok(HttpResponse::Ok().json(explained))
}

fn explain(state: &WatermarkState, need: &Need, now: Duration) -> TidemarkState {
    let views: Vec<ViewState> = state
        .views()
        .map(|(name, view)| explain_view(name, view, need, now))
        .collect();
    let is_far_enough = state.offset_read() >= need.offset();
    TidemarkState {
        epoch: state.epoch().to_string(),
        offset: need.offset(),
        replica_offset: state.offset_read(),
        covered: is_far_enough && views.iter().all(|view| view.covered),
        views,
    }
}

fn explain_view(name: &str, view: &watermark::ViewState, need: &Need, now: Duration) -> ViewState {
    let build = view.active_build();
    let lag = Lag::of(view, now).unwrap_or_default();
    let lanes_behind: Vec<LaneBehind> = Lane::all()
        .filter_map(|lane| lane_behind(view, lane, need))
        .collect();
    ViewState {
        view: name.to_owned(),
        build: view.active,
        covered: build.is_some() && lanes_behind.is_empty(),
        behind_events: lag.events,
        behind_seconds: lag.seconds,
        lanes_behind,
    }
}

fn lane_behind(view: &watermark::ViewState, lane: Lane, need: &Need) -> Option<LaneBehind> {
    let wanted = need.entry(lane).max(view.floors.get(lane));
    let visible = view
        .active_build()
        .map_or(0, |build| build.visible.get(lane));
    (visible < wanted).then_some(LaneBehind {
        lane: lane.number(),
        wanted,
        visible,
    })
}
