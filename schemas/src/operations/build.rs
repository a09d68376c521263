//! The builds of a view, as the watermark topic tells of them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::watermark::{Announced, BuildState, ViewState};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildStatus {
    pub view: String,
    pub build: u32,
    /// None where its announcement is not known, as with `version` and `announced_at`.
    pub index: Option<String>,
    /// Projection version.
    pub version: Option<u32>,
    pub state: BuildPhase,
    /// Every lane has just reached its head.
    pub caught_up: bool,
    /// Over all lanes.
    pub visible_events: u64,
    /// The same of the lane heads, as far as any build of the view has told them.
    pub head_events: u64,
    pub announced_at: Option<DateTime<Utc>>,
    pub retired_at: Option<DateTime<Utc>>,
}

/// Where a build is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuildPhase {
    /// Readers are served from it.
    Active,
    /// Filled and kept up to date, to take over.
    Candidate,
    /// Was active; kept up to date, to go back to.
    Kept,
    /// Nobody keeps it up to date any longer.
    Retired,
}

impl BuildPhase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Candidate => "candidate",
            Self::Kept => "kept",
            Self::Retired => "retired",
        }
    }
}

impl BuildStatus {
    /// All builds of the view, by number. `now` is the time by which the topic was read.
    pub fn of_view(name: &str, view: &ViewState, now: Duration) -> Vec<Self> {
        let head = view.builds.values().map(told_heads).max().unwrap_or(0);
        let builds = view.builds.iter().map(|(number, build)| {
            let announced: Option<&Announced> = build.announced.as_ref();
            let visible = build.visible.total();
            Self {
                view: name.to_owned(),
                build: *number,
                index: announced.map(|announced| announced.index.clone()),
                version: announced.map(|announced| announced.version),
                state: phase(view, *number, build),
                caught_up: build.is_caught_up(now),
                visible_events: visible,
                head_events: head.max(visible),
                announced_at: announced.map(|announced| announced.at),
                retired_at: build.retired.as_ref().map(|retired| retired.at),
            }
        });
        builds.collect()
    }
}

fn phase(view: &ViewState, number: u32, build: &BuildState) -> BuildPhase {
    if view.active == Some(number) {
        BuildPhase::Active
    } else if build.retired.is_some() {
        BuildPhase::Retired
    } else if build.was_active {
        BuildPhase::Kept
    } else {
        BuildPhase::Candidate
    }
}

fn told_heads(build: &BuildState) -> u64 {
    build.lanes.values().filter_map(|lane| lane.head).sum()
}
