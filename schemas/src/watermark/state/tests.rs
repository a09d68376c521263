//! Switches, floors and `G`, as sentences.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::*;
use crate::lane::Seq;
use crate::watermark::{Announced, LaneMark, Switch, Watermark};

const EPOCH: Epoch = Epoch(1);
const VIEW: &str = "products";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn lane(number: u8) -> Lane {
    Lane::try_from(number).unwrap()
}

fn announced(build: u32) -> Record {
    let announced = Announced {
        epoch: EPOCH,
        index: format!("products-b{build}"),
        index_uuid: format!("uuid-{build}"),
        version: 1,
        at: at(0),
        wish: None,
    };
    Record::Announced {
        view: VIEW.into(),
        build,
        announced,
    }
}

fn visible(build: u32, marks: &[(u8, Seq, Seq)]) -> Record {
    let lanes = marks.iter().map(|&(number, seq, head)| LaneMark {
        lane: lane(number),
        seq,
        head,
    });
    let watermark = Watermark {
        version: 1,
        epoch: EPOCH,
        lanes: lanes.collect(),
        at: at(1),
        covered_recorded_at: None,
        held: BTreeMap::new(),
        changed: None,
    };
    Record::Watermark {
        view: VIEW.into(),
        build,
        partition: 0,
        watermark,
    }
}

fn switch(from: Option<u32>, to: u32, floors: &[(u8, Seq)]) -> Record {
    let floors = floors
        .iter()
        .map(|&(number, seq)| (lane(number), seq))
        .collect();
    let switch = Switch {
        epoch: EPOCH,
        from,
        to,
        floors,
        at: at(1),
        wish: None,
    };
    Record::Switch {
        view: VIEW.into(),
        id: Uuid::from_u128(to.into()),
        switch,
    }
}

fn state_after(records: impl IntoIterator<Item = Record>) -> WatermarkState {
    let mut state = WatermarkState::new(EPOCH);
    state.settle(true);
    for (offset, record) in records.into_iter().enumerate() {
        state.apply(offset as u64, record);
        state.settle(false);
    }
    state
}

#[test]
fn nothing_is_covered_before_the_first_switch() {
    let state = state_after([announced(1), visible(1, &[(0, 5, 5)])]);
    assert!(!state.view(VIEW).unwrap().covers(lane(0), 1));
}

#[test]
fn the_active_build_covers_what_its_watermark_reached() {
    let state = state_after([announced(1), visible(1, &[(0, 5, 5)]), switch(None, 1, &[])]);
    let view = state.view(VIEW).unwrap();
    assert!(view.covers(lane(0), 5));
    assert!(!view.covers(lane(0), 6));
}

#[test]
fn a_switch_to_a_build_that_is_behind_makes_readers_wait_rather_than_go_back() {
    let state = state_after([
        announced(1),
        switch(None, 1, &[]),
        visible(1, &[(0, 9, 9)]),
        announced(2),
        visible(2, &[(0, 7, 7)]),
        switch(Some(1), 2, &[]),
    ]);
    let view = state.view(VIEW).unwrap();
    assert!(!view.covers(lane(0), 1), "7 is below the floor of 9");
}

#[test]
fn a_switch_from_a_build_that_is_not_active_is_void() {
    let state = state_after([announced(1), announced(2), switch(Some(2), 1, &[])]);
    assert_eq!(state.view(VIEW).unwrap().active, None);
}

#[test]
fn a_heartbeat_does_not_move_g() {
    let beat = visible(1, &[(0, 5, 5)]);
    let once = state_after([announced(1), beat.clone()]);
    let twice = state_after([announced(1), beat.clone(), beat]);
    assert_eq!(once.offset(), twice.offset());
}

#[test]
fn g_stands_still_until_the_whole_topic_was_read() {
    let mut state = WatermarkState::new(EPOCH);
    state.apply(7, announced(1));
    state.settle(false);
    assert_eq!(state.offset(), 0);
    state.settle(true);
    assert_eq!(state.offset(), 8);
}

#[test]
fn a_zombies_lower_watermark_changes_nothing() {
    let state = state_after([
        announced(1),
        switch(None, 1, &[]),
        visible(1, &[(0, 9, 9)]),
        visible(1, &[(0, 4, 9)]),
    ]);
    assert!(state.view(VIEW).unwrap().covers(lane(0), 9));
}

#[test]
fn a_build_may_take_over_only_when_every_lane_was_seen_at_its_head_just_now() {
    let all: Vec<_> = (0..64).map(|number| (number, 3, 3)).collect();
    let state = state_after([announced(1), visible(1, &all)]);
    let build = &state.view(VIEW).unwrap().builds[&1];
    assert!(build.is_caught_up(at(2)));
    assert!(!build.is_caught_up(at(9)), "the records are too old");
    let state = state_after([announced(1), visible(1, &all[..63])]);
    assert!(
        !state.view(VIEW).unwrap().builds[&1].is_caught_up(at(2)),
        "one lane is missing"
    );
}

#[test]
fn an_entry_is_pruned_only_when_every_announced_view_shows_it() {
    let state = state_after([announced(1), switch(None, 1, &[]), visible(1, &[(0, 5, 5)])]);
    assert!(state.everywhere_visible(lane(0), 5));
    let mut state = state;
    let Record::Announced {
        build, announced, ..
    } = announced(1)
    else {
        unreachable!()
    };
    state.apply(
        99,
        Record::Announced {
            view: "categories".into(),
            build,
            announced,
        },
    );
    assert!(!state.everywhere_visible(lane(0), 5));
}

#[test]
fn a_topic_that_announces_no_view_proves_nothing() {
    let mut state = WatermarkState::new(EPOCH);
    assert!(!state.everywhere_visible(lane(0), 1));
    state.settle(true);
    assert!(!state.everywhere_visible(lane(0), 1));
}

#[test]
fn a_replica_back_from_a_long_pause_proves_nothing_until_the_end() {
    let mut state = state_after([announced(1), switch(None, 1, &[])]);
    state.apply(7, visible(1, &[(0, 5, 5)]));
    assert!(!state.is_complete() && !state.everywhere_visible(lane(0), 5));
    assert_eq!(state.offset(), 2);
    state.settle(true);
    assert!(state.is_complete() && state.everywhere_visible(lane(0), 5));
    assert_eq!(state.offset(), 8);
}

#[test]
fn a_replica_back_from_a_long_pause_has_no_lower_floor_than_the_others() {
    let before = [
        announced(1),
        announced(2),
        switch(None, 1, &[]),
        visible(1, &[(0, 8, 8)]),
    ];
    let lived = [visible(1, &[(0, 9, 9)]), switch(Some(1), 2, &[(0, 8)])];
    let after = visible(1, &[(0, 20, 20)]);
    let others = state_after([&before[..], &lived[..], std::slice::from_ref(&after)].concat());

    // It slept; the record that named 9 was compacted away under the one that names 20.
    let mut late = state_after(before);
    late.apply(5, switch(Some(1), 2, &[(0, 8)]));
    late.apply(6, after);
    late.settle(true);

    let floor = |state: &WatermarkState| state.view(VIEW).unwrap().floors.get(lane(0));
    assert_eq!(floor(&others), 9);
    assert!(floor(&late) >= floor(&others));
}
