//! What operators are told reads as its golden files, which are what scripts and pages are made for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use schemas::id::Epoch;
use schemas::lane::Lane;
use schemas::operations::{BuildPhase, BuildStatus, DeadLetter, LagReport, LaneHealth, Listing};
use schemas::watermark::{Announced, BuildState, LaneState, Retired, ViewState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, to_value};

use crate::files;

fn assert_reads_as_written<T: Serialize + DeserializeOwned>(name: &str) {
    let path = format!("golden/operations/{name}.json");
    let (golden, read): (Value, T) = (files::read(&path), files::read(&path));
    assert_eq!(to_value(read).unwrap(), golden, "{name}");
}

#[test]
fn answers_read_as_they_were_written() {
    assert_reads_as_written::<LagReport>("lag");
    assert_reads_as_written::<Listing<BuildStatus>>("builds");
    assert_reads_as_written::<Listing<DeadLetter>>("dead-letters");
}

#[test]
fn a_state_is_written_by_its_name() {
    for health in LaneHealth::ALL {
        assert_eq!(to_value(health).unwrap(), health.name());
    }
    let builds: Listing<BuildStatus> = files::read("golden/operations/builds.json");
    for build in builds.items {
        assert_eq!(to_value(build.state).unwrap(), build.state.name());
    }
}

/// The time by which the topic was read.
const NOW: Duration = Duration::from_secs(100);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds((1_700_000_000 + seconds) * 1_000 + 250)
}

fn build(number: u32) -> BuildState {
    BuildState {
        announced: Some(Announced {
            epoch: Epoch(1),
            index: format!("products-b{number}"),
            index_uuid: "a UUID".to_owned(),
            version: 2,
            at: at(number.into()),
            wish: None,
        }),
        ..BuildState::default()
    }
}

/// A build whose lanes all stand at their heads, of nine events.
fn caught_up(number: u32) -> BuildState {
    let mut build = build(number);
    let events = Lane::try_from(3_u8).unwrap();
    build.visible.raise(events, 9);
    for lane in Lane::all() {
        let mut state = LaneState::default();
        state.seq = build.visible.get(lane);
        (state.head, state.heads_at, state.at) = (Some(state.seq), Some(at(10)), at(10));
        state.received = Some(NOW);
        build.lanes.insert(lane, state);
    }
    build
}

#[test]
fn a_build_is_retired_kept_active_or_a_candidate() {
    let retired = Retired {
        epoch: Epoch(1),
        at: at(9),
        lost: false,
    };
    let mut builds = [build(1), build(2), build(3), caught_up(4)];
    builds[0].retired = Some(retired);
    for build in &mut builds[..3] {
        build.was_active = true;
    }
    builds[2].visible.raise(Lane::try_from(3_u8).unwrap(), 6);
    let unannounced = (5, BuildState::default());
    let view = ViewState {
        active: Some(3),
        builds: (1..).zip(builds).chain([unannounced]).collect(),
        ..ViewState::default()
    };
    let items = BuildStatus::of_view("products", &view, NOW);
    let phases: Vec<_> = items.iter().map(|build| build.state).collect();
    assert_eq!(
        phases[..4],
        [
            BuildPhase::Retired,
            BuildPhase::Kept,
            BuildPhase::Active,
            BuildPhase::Candidate
        ]
    );
    let golden: Value = files::read("golden/operations/builds.json");
    assert_eq!(to_value(Listing { items }).unwrap(), golden);
}
