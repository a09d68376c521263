//! How far every lane of every build is, in events and seconds: idle, behind, stalled or dead.

use std::collections::BTreeMap;

use chassis::clock;
use chassis::watermark_tail::WatermarkTail;
use chrono::{DateTime, TimeDelta, Utc};
use schemas::lane::{Lane, LaneSeqs, Seq};
use schemas::view::View;
use schemas::watermark::{BuildState, FRESH};
use serde::Serialize;

use crate::board::{Board, Heads, OfLane, Phase};
use crate::cache::BuildId;

/// A lane that is behind and shows nothing new for so long is stalled.
const STALLED_AFTER: TimeDelta = TimeDelta::seconds(5);

#[derive(Debug, Clone, Serialize)]
pub struct LagReport {
    pub at: DateTime<Utc>,
    /// When PostgreSQL gave the heads.
    pub heads_at: Option<DateTime<Utc>>,
    pub views: Vec<ViewLag>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ViewLag {
    pub view: String,
    pub active: Option<u32>,
    pub builds: Vec<BuildLag>,
}

#[derive(Debug, Clone, Serialize)]
pub struct BuildLag {
    pub build: u32,
    pub state: LaneState,
    pub behind_events: u64,
    pub behind_seconds: f64,
    pub lanes: Vec<LaneLag>,
}

#[derive(Debug, Clone, Serialize)]
pub struct LaneLag {
    pub lane: Lane,
    pub head: Seq,
    /// Highest seq that came from Kafka; known of lanes that are ours.
    pub published: Option<Seq>,
    /// Highest seq acknowledged by Elasticsearch; known of lanes that are ours.
    pub applied: Option<Seq>,
    pub visible: Seq,
    pub behind_events: u64,
    pub behind_seconds: f64,
    pub state: LaneState,
    /// Why it stands still, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// From best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Everything is visible.
    Idle,
    /// Not everything is visible yet.
    Behind,
    /// Nothing new becomes visible, though its owner lives.
    Stalled,
    /// Nobody speaks of it.
    Dead,
}

/// The lag of all builds that are fed.
pub fn lag_report(board: &Board, tail: &WatermarkTail) -> LagReport {
    let heads = board.heads();
    let own = board.builds();
    let now = clock::now();
    let views = tail.read(|state| {
        let views = state.views().map(|(name, of_view)| {
            let fed = of_view.builds.iter().filter(|(_, build)| build.is_fed());
            let builds = fed.map(|(number, build)| {
                let id = View::from_name(name).map(|view| BuildId {
                    view,
                    number: *number,
                });
                let own = id
                    .and_then(|id| own.get(&id))
                    .map(|of_build| &of_build.lanes);
                build_lag(*number, build, own, &heads, now)
            });
            ViewLag {
                view: name.to_owned(),
                active: of_view.active,
                builds: builds.collect(),
            }
        });
        views.collect()
    });
    LagReport {
        at: now,
        heads_at: heads.at,
        views,
    }
}

/// For each lane the lowest watermark of all active builds.
pub(super) fn lowest_visible(tail: &WatermarkTail) -> LaneSeqs {
    tail.read(|state| {
        let active: Vec<_> = state
            .views()
            .filter_map(|(_, view)| view.active_build())
            .collect();
        let lowest = |lane: Lane| active.iter().map(|build| build.visible.get(lane)).min();
        Lane::all()
            .map(|lane| (lane, lowest(lane).unwrap_or(0)))
            .collect()
    })
}

fn build_lag(
    number: u32,
    build: &BuildState,
    own: Option<&BTreeMap<Lane, OfLane>>,
    heads: &Heads,
    now: DateTime<Utc>,
) -> BuildLag {
    let lanes: Vec<LaneLag> = Lane::all()
        .map(|lane| lane_lag(lane, build, own.and_then(|own| own.get(&lane)), heads, now))
        .collect();
    BuildLag {
        build: number,
        state: lanes
            .iter()
            .map(|lane| lane.state)
            .max()
            .unwrap_or(LaneState::Dead),
        behind_events: lanes.iter().map(|lane| lane.behind_events).sum(),
        behind_seconds: lanes
            .iter()
            .map(|lane| lane.behind_seconds)
            .fold(0.0, f64::max),
        lanes,
    }
}

fn lane_lag(
    lane: Lane,
    build: &BuildState,
    own: Option<&OfLane>,
    heads: &Heads,
    now: DateTime<Utc>,
) -> LaneLag {
    let said = build.lanes.get(&lane);
    let visible = build.visible.get(lane);
    let head = heads
        .seqs
        .get(lane)
        .max(said.and_then(|said| said.head).unwrap_or(0))
        .max(visible);
    let behind_events = head - visible;
    let waiting = heads
        .waiting_since
        .get(&lane)
        .map_or(TimeDelta::zero(), |since| now - since);
    let waiting = if behind_events == 0 {
        TimeDelta::zero()
    } else {
        waiting
    };
    let stopped = own.and_then(|own| own.stopped.as_ref());
    let is_filled = own.is_some_and(|own| matches!(own.phase, Phase::Filling | Phase::CatchingUp));
    let state = match said {
        Some(said) if now - said.at <= FRESH => match () {
            () if behind_events == 0 => LaneState::Idle,
            () if stopped.is_some() || (waiting > STALLED_AFTER && !is_filled) => {
                LaneState::Stalled
            }
            () => LaneState::Behind,
        },
        _ => LaneState::Dead,
    };
    LaneLag {
        lane,
        head,
        published: own.and_then(|own| own.published),
        applied: own.map(|own| own.applied),
        visible,
        behind_events,
        behind_seconds: seconds(waiting),
        state,
        stopped: stopped.map(|stopped| stopped.reason().to_owned()),
    }
}

fn seconds(time: TimeDelta) -> f64 {
    time.as_seconds_f64().max(0.0)
}
