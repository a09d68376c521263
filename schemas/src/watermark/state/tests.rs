//! Switches, floors and `G`, as sentences.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;
use crate::lane::Seq;
use crate::watermark::{Announced, LaneMark, Retired, Switch, Watermark};

mod void;

const EPOCH: Epoch = Epoch(1);
const VIEW: &str = "products";
/// When this process reads, by its own time.
const NOW: Duration = Duration::from_secs(100);

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
        head: Some(head),
    });
    let watermark = Watermark {
        version: 1,
        epoch: EPOCH,
        lanes: lanes.collect(),
        at: at(1),
        heads_at: Some(at(1)),
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
    state.reach_end();
    for (offset, record) in records.into_iter().enumerate() {
        state.apply(offset as u64, record, NOW);
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
fn g_of_a_compacted_topic_is_no_higher_than_what_a_reader_of_all_of_it_has_read() {
    let beat = visible(1, &[(0, 5, 5)]);
    let mut all = WatermarkState::new(EPOCH);
    let mut compacted = WatermarkState::new(EPOCH);
    all.apply(0, announced(1), NOW);
    all.apply(1, beat.clone(), NOW);
    all.apply(2, beat.clone(), NOW);
    compacted.apply(0, announced(1), NOW);
    compacted.apply(2, beat, NOW);
    all.reach_end();
    compacted.reach_end();
    assert!(compacted.offset() > all.offset());
    assert_eq!(compacted.offset(), all.offset_read());
}

#[test]
fn what_was_read_does_not_count_until_the_whole_topic_was_read() {
    let mut state = WatermarkState::new(EPOCH);
    state.apply(7, announced(1), NOW);
    assert_eq!(state.offset_read(), 0);
    state.reach_end();
    assert_eq!(state.offset_read(), 8);
}

#[test]
fn g_stands_still_until_the_whole_topic_was_read() {
    let mut state = WatermarkState::new(EPOCH);
    state.apply(7, announced(1), NOW);
    assert_eq!(state.offset(), 0);
    state.reach_end();
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
    assert!(is_caught_up(&state, NOW + HEARD));
    let later = NOW + HEARD + Duration::from_millis(1);
    assert!(!is_caught_up(&state, later), "the records are too old");
    let state = state_after([announced(1), visible(1, &all[..63])]);
    assert!(!is_caught_up(&state, NOW), "one lane is missing");
}

fn is_caught_up(state: &WatermarkState, now: Duration) -> bool {
    state.view(VIEW).unwrap().builds[&1].is_caught_up(now)
}

/// A build at its heads, which its publisher read so long before it published the record.
fn heads_read_before(milliseconds: i64) -> WatermarkState {
    let all: Vec<_> = (0..64).map(|number| (number, 3, 3)).collect();
    let mut record = visible(1, &all);
    if let Record::Watermark { watermark, .. } = &mut record {
        watermark.heads_at = Some(watermark.at - TimeDelta::milliseconds(milliseconds));
    }
    state_after([announced(1), record])
}

#[test]
fn heads_are_as_old_as_they_were_in_the_record_and_it_is_here() {
    let state = heads_read_before(1_000);
    let last = NOW + HEARD - Duration::from_secs(1);
    assert!(is_caught_up(&state, last));
    assert!(!is_caught_up(&state, last + Duration::from_millis(1)));
    assert!(!is_caught_up(&heads_read_before(3_001), NOW));
    let turned_back = heads_read_before(-1);
    assert!(!is_caught_up(&turned_back, NOW), "of an unknown age");
}

#[test]
fn a_build_is_silent_since_its_last_record_was_read_whatever_that_says_of_its_time() {
    let all: Vec<_> = (0..64).map(|number| (number, 3, 3)).collect();
    let mut state = state_after([announced(1)]);
    let later = NOW + Duration::from_secs(50);
    state.apply(1, visible(1, &all), later);
    let silence = |state: &WatermarkState, now| state.view(VIEW).unwrap().builds[&1].silence(now);
    assert_eq!(silence(&state, later), Duration::ZERO);
    assert_eq!(silence(&state, later + HEARD), HEARD);
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
        3,
        Record::Announced {
            view: "categories".into(),
            build,
            announced,
        },
        NOW,
    );
    assert!(state.is_complete() && !state.everywhere_visible(lane(0), 5));
}

#[test]
fn a_topic_that_announces_no_view_proves_nothing() {
    let mut state = WatermarkState::new(EPOCH);
    assert!(!state.everywhere_visible(lane(0), 1));
    state.reach_end();
    assert!(!state.everywhere_visible(lane(0), 1));
}

#[test]
fn a_replica_back_from_a_long_pause_proves_nothing_until_the_end() {
    let mut state = state_after([announced(1), switch(None, 1, &[])]);
    state.apply(7, visible(1, &[(0, 5, 5)]), NOW);
    assert!(!state.is_complete() && !state.everywhere_visible(lane(0), 5));
    assert_eq!(state.offset(), 2);
    state.reach_end();
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
    late.apply(5, switch(Some(1), 2, &[(0, 8)]), NOW);
    late.apply(6, after, NOW);
    late.reach_end();

    let floor = |state: &WatermarkState| state.view(VIEW).unwrap().floors.get(lane(0));
    assert_eq!(floor(&others), 9);
    assert!(floor(&late) >= floor(&others));
}

#[test]
fn g_does_not_jump_over_a_hole_however_young_the_record_behind_it_claims_to_be() {
    let mut state = state_after([announced(1), switch(None, 1, &[])]);
    state.apply(7, visible(1, &[(0, 5, 5)]), NOW);
    state.apply(8, visible(1, &[(0, 6, 6)]), NOW);
    assert_eq!((state.offset(), state.offset_read()), (2, 2));
    state.reach_end();
    assert_eq!((state.offset(), state.offset_read()), (9, 9));
}

#[test]
fn g_moves_with_every_record_that_follows_the_one_before() {
    let mut state = state_after([announced(1)]);
    state.apply(1, visible(1, &[(0, 5, 5)]), NOW);
    assert_eq!((state.offset(), state.offset_read()), (2, 2));
}

fn is_heard(state: &WatermarkState, now: Duration) -> bool {
    let build = state.view(VIEW).unwrap().active_build().unwrap();
    build.lanes[&lane(0)].is_heard(now)
}

#[test]
fn a_lane_is_heard_for_three_seconds_of_the_readers_own_time() {
    let beat = visible(1, &[(0, 5, 5)]);
    let state = state_after([announced(1), switch(None, 1, &[]), beat]);
    assert!(is_heard(&state, NOW));
    assert!(is_heard(&state, NOW + HEARD));
    let later = NOW + HEARD + Duration::from_millis(1);
    assert!(!is_heard(&state, later));
}

#[test]
fn what_was_read_before_the_first_end_or_behind_a_hole_is_old() {
    let beat = visible(1, &[(0, 5, 5)]);
    let mut state = WatermarkState::new(EPOCH);
    state.apply(0, announced(1), NOW);
    state.apply(1, switch(None, 1, &[]), NOW);
    state.apply(2, beat.clone(), NOW);
    state.reach_end();
    assert!(!is_heard(&state, NOW), "it may have stood there for days");
    state.apply(3, beat.clone(), NOW);
    assert!(is_heard(&state, NOW));
    state.apply(9, beat.clone(), NOW);
    assert!(!is_heard(&state, NOW), "older records may be missing");
    state.reach_end();
    state.apply(10, beat, NOW);
    assert!(is_heard(&state, NOW));
}

const BEAT: &[u8] = b"watermark/products/1/0";

fn read(state: &mut WatermarkState, offset: u64, key: &[u8], value: Option<&[u8]>) -> bool {
    state.read(offset, key, value, NOW).is_ok()
}

#[test]
fn a_record_of_a_known_kind_that_cannot_be_read_stops_g_until_one_with_its_key_can() {
    let mut state = state_after([announced(1), switch(None, 1, &[])]);
    assert!(!read(&mut state, 2, BEAT, Some(b"{}")));
    state.apply(3, visible(1, &[(0, 5, 5)]), NOW);
    state.reach_end();
    assert!(!state.is_complete() && !state.everywhere_visible(lane(0), 1));
    assert_eq!((state.offset(), state.offset_read()), (2, 2));
    assert_eq!(state.unreadable().collect::<Vec<_>>(), [BEAT]);

    let Record::Watermark { watermark, .. } = visible(1, &[(0, 6, 6)]) else {
        unreachable!()
    };
    let value = serde_json::to_vec(&watermark).unwrap();
    assert!(read(&mut state, 4, BEAT, Some(&value)));
    assert!(state.is_complete() && state.everywhere_visible(lane(0), 6));
    assert_eq!((state.offset(), state.offset_read()), (5, 5));
}

#[test]
fn a_key_that_is_removed_no_longer_stops_g() {
    for key in [b"switch/products/no-uuid".as_slice(), b"wish/products/"] {
        let mut state = state_after([announced(1)]);
        assert!(!read(&mut state, 1, key, Some(b"null")));
        assert!(!state.is_complete());
        read(&mut state, 2, key, None);
        assert!(state.is_complete());
        assert_eq!(state.offset_read(), 3);
    }
}

#[test]
fn a_kind_that_is_unknown_is_passed_over() {
    let mut state = state_after([announced(1)]);
    for (offset, key) in (1..).zip([b"pin/products/1".as_slice(), b"\xff", b""]) {
        assert!(!read(&mut state, offset, key, Some(b"{}")));
    }
    assert!(state.is_complete());
    assert_eq!((state.offset(), state.offset_read()), (1, 4));
}

fn categories(record: Record) -> Record {
    match record {
        Record::Announced {
            build, announced, ..
        } => Record::Announced {
            view: "categories".into(),
            build,
            announced,
        },
        Record::Switch { id, switch, .. } => Record::Switch {
            view: "categories".into(),
            id,
            switch,
        },
        other => other,
    }
}

fn categories_retired() -> Record {
    Record::Retired {
        view: "categories".into(),
        build: 1,
        retired: Retired {
            epoch: EPOCH,
            at: at(2),
            lost: true,
        },
    }
}

#[test]
fn a_view_whose_builds_are_all_retired_keeps_nobodys_entries() {
    let others = [announced(1), switch(None, 1, &[]), visible(1, &[(0, 5, 5)])];
    let candidate = categories(announced(1));
    let state = state_after(others.clone().into_iter().chain([candidate.clone()]));
    assert!(!state.everywhere_visible(lane(0), 5), "it is being filled");
    let gone = [candidate, categories_retired()];
    let state = state_after(others.into_iter().chain(gone));
    assert!(state.everywhere_visible(lane(0), 5));
}

#[test]
fn a_view_whose_active_build_is_lost_keeps_entries_until_the_next_one_shows_them() {
    let state = state_after([
        announced(1),
        switch(None, 1, &[]),
        visible(1, &[(0, 5, 5)]),
        categories(announced(1)),
        categories(switch(None, 1, &[])),
        categories_retired(),
    ]);
    assert!(!state.everywhere_visible(lane(0), 5));
}
