//! How far every lane of every build is, in events and seconds: idle, behind, stalled or dead.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lane::{Lane, Seq};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LagReport {
    pub at: DateTime<Utc>,
    /// When PostgreSQL gave the heads.
    pub heads_at: Option<DateTime<Utc>>,
    pub views: Vec<ViewLag>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ViewLag {
    pub view: String,
    pub active: Option<u32>,
    /// Those that are kept up to date.
    pub builds: Vec<BuildLag>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BuildLag {
    pub build: u32,
    pub state: LaneHealth,
    pub behind_events: u64,
    pub behind_seconds: f64,
    pub lanes: Vec<LaneLag>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LaneLag {
    pub lane: Lane,
    pub head: Seq,
    /// Highest seq that came from Kafka; known to the lane's owner alone.
    pub published: Option<Seq>,
    /// Highest seq acknowledged by Elasticsearch; known to the lane's owner alone.
    pub applied: Option<Seq>,
    pub visible: Seq,
    pub behind_events: u64,
    pub behind_seconds: f64,
    pub state: LaneHealth,
    /// Why it stands still, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// From best to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LaneHealth {
    /// Everything is visible.
    Idle,
    /// Not everything is visible yet.
    Behind,
    /// Everything is visible that PostgreSQL told of, more than 3 s ago.
    Unknown,
    /// It does not move, though its owner lives, who alone can tell.
    Stalled,
    /// Nobody speaks of it.
    Dead,
}

impl LaneHealth {
    pub const ALL: [Self; 5] = [
        Self::Idle,
        Self::Behind,
        Self::Unknown,
        Self::Stalled,
        Self::Dead,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Behind => "behind",
            Self::Unknown => "unknown",
            Self::Stalled => "stalled",
            Self::Dead => "dead",
        }
    }
}

impl BuildLag {
    /// As healthy as its worst lane, and as far behind as all of them.
    pub fn of_lanes(build: u32, lanes: Vec<LaneLag>) -> Self {
        let states = lanes.iter().map(|lane| lane.state);
        let seconds = lanes.iter().map(|lane| lane.behind_seconds);
        Self {
            build,
            state: states.max().unwrap_or(LaneHealth::Dead),
            behind_events: lanes.iter().map(|lane| lane.behind_events).sum(),
            behind_seconds: seconds.fold(0.0, f64::max),
            lanes,
        }
    }
}

impl LagReport {
    /// What two projectors say together. The owner of a lane knows most about it, so its word goes
    /// before that of the other.
    pub fn merge(self, other: Self) -> Self {
        let mut views = BTreeMap::new();
        for view in self.views.into_iter().chain(other.views) {
            let (active, builds) = views
                .entry(view.view)
                .or_insert_with(|| (view.active, BTreeMap::new()));
            *active = view.active.max(*active);
            for build in view.builds {
                let lanes: &mut BTreeMap<Lane, LaneLag> = builds.entry(build.build).or_default();
                for lane in build.lanes {
                    match lanes.get(&lane.lane) {
                        Some(known) if known.applied.is_some() => {}
                        _ => drop(lanes.insert(lane.lane, lane)),
                    }
                }
            }
        }
        let views = views.into_iter().map(|(view, (active, builds))| {
            let builds = builds.into_iter();
            let builds = builds
                .map(|(build, lanes)| BuildLag::of_lanes(build, lanes.into_values().collect()));
            ViewLag {
                view,
                active,
                builds: builds.collect(),
            }
        });
        Self {
            at: self.at.max(other.at),
            heads_at: self.heads_at.max(other.heads_at),
            views: views.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
