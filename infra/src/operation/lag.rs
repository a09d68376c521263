//! How far behind the views are, as the projectors tell it together.
//!
//! The owner of a lane knows most about it, so its word goes before that of the others.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::{deployment::Deployment, rest};
use crate::service::Service;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LagReport {
    pub at: DateTime<Utc>,
    pub views: Vec<ViewLag>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ViewLag {
    pub view: String,
    pub active: Option<u32>,
    pub builds: Vec<BuildLag>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildLag {
    pub build: u32,
    pub state: LaneState,
    pub behind_events: u64,
    pub behind_seconds: f64,
    pub lanes: Vec<LaneLag>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneLag {
    pub lane: u8,
    pub head: u64,
    /// Known to the lane's owner alone, as is `applied`.
    pub published: Option<u64>,
    pub applied: Option<u64>,
    pub visible: u64,
    pub behind_events: u64,
    pub behind_seconds: f64,
    pub state: LaneState,
    /// Why it stands still, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// From best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    Idle,
    Behind,
    Unknown,
    Stalled,
    Dead,
}

impl LaneState {
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

/// Asks all projectors. One that does not answer is left out; an error where none does.
pub async fn lag(deployment: &Deployment) -> Result<LagReport> {
    deployment.url(Service::Projector)?;
    let client = rest::client()?;
    let asked = deployment
        .replicas(Service::Projector)
        .map(async |running| {
            rest::get::<LagReport>(&client, &format!("{}/v1/lag", running.url)).await
        });
    let (mut reports, mut failed) = (Vec::new(), None);
    for answer in join_all(asked).await {
        match answer {
            Ok(report) => reports.push(report),
            Err(error) => failed = Some(error),
        }
    }
    let merged = reports.into_iter().reduce(merge);
    merged.ok_or_else(|| failed.unwrap_or_else(|| anyhow::anyhow!("no projector is running")))
}

fn merge(one: LagReport, other: LagReport) -> LagReport {
    let at = one.at.max(other.at);
    let mut views = BTreeMap::new();
    for view in one.views.into_iter().chain(other.views) {
        let (active, builds) = views
            .entry(view.view)
            .or_insert_with(|| (view.active, BTreeMap::new()));
        *active = view.active.max(*active);
        for build in view.builds {
            let lanes: &mut BTreeMap<u8, LaneLag> = builds.entry(build.build).or_default();
            for lane in build.lanes {
                match lanes.get(&lane.lane) {
                    Some(known) if known.applied.is_some() => {}
                    _ => drop(lanes.insert(lane.lane, lane)),
                }
            }
        }
    }
    let views = views.into_iter().map(|(view, (active, builds))| {
        let builds = builds
            .into_iter()
            .map(|(build, lanes)| summed_up(build, lanes));
        ViewLag {
            view,
            active,
            builds: builds.collect(),
        }
    });
    LagReport {
        at,
        views: views.collect(),
    }
}

fn summed_up(build: u32, lanes: BTreeMap<u8, LaneLag>) -> BuildLag {
    let lanes: Vec<LaneLag> = lanes.into_values().collect();
    let states = lanes.iter().map(|lane| lane.state);
    BuildLag {
        build,
        state: states.max().unwrap_or(LaneState::Dead),
        behind_events: lanes.iter().map(|lane| lane.behind_events).sum(),
        behind_seconds: lanes
            .iter()
            .map(|lane| lane.behind_seconds)
            .fold(0.0, f64::max),
        lanes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lane: u8, state: LaneState, applied: Option<u64>) -> LagReport {
        let lane = LaneLag {
            lane,
            head: 9,
            published: None,
            applied,
            visible: 7,
            behind_events: 2,
            behind_seconds: 1.0,
            state,
            stopped: None,
        };
        let build = summed_up(1, BTreeMap::from([(lane.lane, lane)]));
        let view = ViewLag {
            view: "products".to_owned(),
            active: Some(1),
            builds: vec![build],
        };
        LagReport {
            at: DateTime::UNIX_EPOCH,
            views: vec![view],
        }
    }

    #[test]
    fn the_owner_of_a_lane_is_believed_before_others() {
        let owner = report(3, LaneState::Behind, Some(8));
        let other = report(3, LaneState::Stalled, None);
        for merged in [merge(owner.clone(), other.clone()), merge(other, owner)] {
            let build = &merged.views[0].builds[0];
            assert_eq!((build.state, build.lanes.len()), (LaneState::Behind, 1));
        }
    }

    #[test]
    fn a_build_is_as_well_as_its_worst_lane() {
        let merged = merge(
            report(3, LaneState::Idle, None),
            report(4, LaneState::Dead, None),
        );
        let build = &merged.views[0].builds[0];
        assert_eq!((build.state, build.behind_events), (LaneState::Dead, 4));
    }
}
