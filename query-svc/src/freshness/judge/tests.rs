//! Judgements of reads over states of the watermark topic, as sentences.

use std::collections::BTreeMap;

use chassis::tidemark::Presented;
use chrono::TimeDelta;
use schemas::id::Epoch;
use schemas::tidemark::Tidemark;
use schemas::watermark::{Held, LaneMark, Watermark};

use super::*;

mod topic;

use topic::{RECEIVED, Topic, at, lane, watermark};

const EPOCH: Epoch = Epoch(1);
const PRODUCTS: &[View] = &[View::Products];
const BOTH: &[View] = &[View::Products, View::Categories];
/// Its lane is 55.
const SUBJECT: Uuid = Uuid::nil();
/// Whose lanes count: of the one document's subject, or of all.
const BY_ID: Option<Uuid> = Some(SUBJECT);
const SEARCH: Option<Uuid> = None;

fn nothing() -> Need {
    let tidemark = Tidemark::new(EPOCH);
    Need::of(&Presented {
        tidemark,
        tokens: 0,
        foreign: Vec::new(),
    })
}

/// A tidemark at this `G` with these entries.
fn tidemark(offset: u64, entries: &[(u8, Seq)]) -> Need {
    let mut tidemark = Tidemark::new(EPOCH);
    tidemark.raise_offset(offset);
    for &(number, seq) in entries {
        tidemark.raise(Position {
            lane: lane(number),
            seq,
        });
    }
    Need::of(&Presented {
        tidemark,
        tokens: 1,
        foreign: Vec::new(),
    })
}

/// So many milliseconds after every record was read.
fn later(milliseconds: u64) -> Duration {
    RECEIVED + Duration::from_millis(milliseconds)
}

fn snapshot(verdict: Verdict) -> Snapshot {
    match verdict {
        Verdict::Covered(snapshot) => snapshot,
        Verdict::Behind { gap, .. } => panic!("not covered: {gap:?}"),
    }
}

fn gap(verdict: Verdict) -> Gap {
    match verdict {
        Verdict::Covered(snapshot) => panic!("covered: {snapshot:?}"),
        Verdict::Behind { gap, .. } => gap,
    }
}

#[test]
fn a_read_without_a_tidemark_is_covered_by_whatever_is_active() {
    let topic = Topic::serving(View::Products);
    let snapshot = snapshot(topic.judge(&nothing(), PRODUCTS, SEARCH));
    assert_eq!(snapshot.active_build(View::Products).index, "products-b1");
}

#[test]
fn a_read_without_a_tidemark_does_not_even_need_the_floor() {
    let topic = Topic::serving(View::Products)
        .visible(View::Products, 1, 3, 9)
        .announce(View::Products, 2)
        .visible(View::Products, 2, 3, 7)
        .switch(View::Products, Some(1), 2);
    let snapshot = snapshot(topic.judge(&nothing(), PRODUCTS, SEARCH));
    assert_eq!(snapshot.active_build(View::Products).build, 2);
}

#[test]
fn nothing_can_be_read_before_the_first_switch() {
    let topic = Topic::new()
        .announce(View::Products, 1)
        .visible(View::Products, 1, 3, 9);
    let gap = gap(topic.judge(&nothing(), PRODUCTS, SEARCH));
    assert!(gap.without_build && gap.stalled);
}

#[test]
fn nothing_can_be_read_while_one_of_the_views_has_no_active_build() {
    let topic = Topic::serving(View::Products);
    assert!(gap(topic.judge(&nothing(), BOTH, SEARCH)).without_build);
}

#[test]
fn nothing_can_be_read_before_the_whole_topic_was_read_once() {
    let topic = Topic {
        state: WatermarkState::new(EPOCH),
        next: 0,
    };
    let topic = topic
        .announce(View::Products, 1)
        .switch(View::Products, None, 1);
    assert!(gap(topic.judge(&nothing(), PRODUCTS, SEARCH)).without_build);
}

#[test]
fn an_entry_is_covered_once_the_watermark_has_reached_it() {
    let topic = Topic::serving(View::Products).visible(View::Products, 1, 3, 9);
    let covered = topic.judge(&tidemark(0, &[(3, 9)]), PRODUCTS, SEARCH);
    assert_eq!(
        snapshot(covered)
            .active_build(View::Products)
            .visible
            .get(lane(3)),
        9
    );
    let behind = topic.judge(&tidemark(0, &[(3, 10)]), PRODUCTS, SEARCH);
    let expected = LaneGap {
        view: "products",
        lane: lane(3),
        wanted: 10,
        visible: 9,
    };
    assert_eq!(gap(behind).lanes, [expected]);
}

#[test]
fn a_read_by_id_needs_only_the_lane_of_its_subject() {
    let topic = Topic::serving(View::Products);
    let elsewhere = tidemark(0, &[(3, 10)]);
    snapshot(topic.judge(&elsewhere, PRODUCTS, BY_ID));
    let here = tidemark(0, &[(55, 10)]);
    assert!(!gap(topic.judge(&here, PRODUCTS, BY_ID)).stalled);
}

#[test]
fn every_view_that_is_read_has_to_cover_the_entry() {
    let topic = Topic::serving(View::Products)
        .announce(View::Categories, 1)
        .switch(View::Categories, None, 1)
        .quiet(View::Categories, 1)
        .visible(View::Products, 1, 3, 9);
    let need = tidemark(0, &[(3, 9)]);
    snapshot(topic.judge(&need, PRODUCTS, SEARCH));
    let gap = gap(topic.judge(&need, BOTH, SEARCH));
    assert_eq!(gap.lanes[0].view, "categories");
}

#[test]
fn a_switch_to_a_build_that_is_behind_makes_even_an_idle_tidemark_wait() {
    let topic = Topic::serving(View::Products)
        .visible(View::Products, 1, 3, 9)
        .announce(View::Products, 2)
        .quiet(View::Products, 2)
        .visible(View::Products, 2, 3, 7)
        .switch(View::Products, Some(1), 2);
    let behind = gap(topic.judge(&tidemark(0, &[]), PRODUCTS, SEARCH));
    assert_eq!((behind.lanes[0].wanted, behind.lanes[0].visible), (9, 7));
    let topic = topic.visible(View::Products, 2, 3, 9);
    snapshot(topic.judge(&tidemark(0, &[]), PRODUCTS, SEARCH));
}

#[test]
fn a_retired_build_is_not_what_readers_stand_on() {
    let topic = Topic::serving(View::Products)
        .announce(View::Products, 2)
        .quiet(View::Products, 2)
        .switch(View::Products, Some(1), 2)
        .retire(View::Products, 1);
    let snapshot = snapshot(topic.judge(&tidemark(0, &[]), PRODUCTS, SEARCH));
    assert_eq!(snapshot.active_build(View::Products).build, 2);
}

#[test]
fn a_replica_that_has_not_followed_as_far_is_behind_though_all_lanes_are_covered() {
    let topic = Topic::serving(View::Products);
    let gap = gap(topic.judge(&tidemark(1_000, &[]), PRODUCTS, SEARCH));
    assert!(gap.offset_behind && gap.lanes.is_empty());
    assert!(
        !gap.stalled,
        "the topic moves, so the replica will catch up"
    );
    assert!(
        !gap.is_proven_by(u64::MAX),
        "no document says how old the floors are"
    );
}

#[test]
fn a_replica_that_hears_of_nobody_has_no_reason_to_wait_for_its_offset() {
    let topic = Topic::serving(View::Products);
    let need = tidemark(1_000, &[]);
    let verdict = topic.judge_at(&need, PRODUCTS, SEARCH, later(3_001));
    assert!(gap(verdict).stalled);
}

#[test]
fn a_lane_whose_owner_has_been_silent_for_three_seconds_is_stalled() {
    let topic = Topic::serving(View::Products);
    let need = tidemark(0, &[(3, 1)]);
    let at_least = |now| gap(topic.judge_at(&need, PRODUCTS, SEARCH, now)).stalled;
    assert!(!at_least(later(3_000)));
    assert!(at_least(later(3_001)));
}

/// Its publisher's clock is far off, so what it says of the time of its record counts for nothing.
#[test]
fn a_lane_whose_owner_has_another_time_is_not_stalled() {
    let mark = LaneMark {
        lane: lane(3),
        seq: 0,
        head: Some(1),
    };
    for off in [TimeDelta::hours(-1), TimeDelta::hours(1)] {
        let mut record = watermark(vec![mark]);
        record.at = at(0) + off;
        let topic = Topic::serving(View::Products).watermark(View::Products, 1, record);
        let need = tidemark(0, &[(3, 1)]);
        let stalled = |now| gap(topic.judge_at(&need, PRODUCTS, SEARCH, now)).stalled;
        assert!(!stalled(later(3_000)));
        assert!(stalled(later(3_001)));
    }
}

#[test]
fn a_gap_waits_for_builds_then_the_offset_then_a_lane() {
    let need = tidemark(1_000, &[(3, 10), (4, 2)]);
    let goal = |topic: &Topic, need: &Need| gap(topic.judge(need, PRODUCTS, SEARCH)).goal(need);
    let topic = Topic::new().announce(View::Products, 1);
    assert_eq!(goal(&topic, &need), BUILD_CHANGE);
    let topic = Topic::serving(View::Products);
    let offset = Goal {
        level: Level::OffsetRead,
        height: 1_000,
    };
    assert_eq!(goal(&topic, &need), offset);
    let lane = Goal {
        level: Level::Visible(View::Products, lane(3)),
        height: 10,
    };
    assert_eq!(goal(&topic, &tidemark(0, &[(3, 10), (4, 2)])), lane);
}

#[test]
fn a_silent_owner_of_a_lane_that_is_covered_stalls_nothing() {
    let topic = Topic::serving(View::Products);
    let late = later(300_000);
    snapshot(topic.judge_at(&tidemark(0, &[]), PRODUCTS, SEARCH, late));
}

#[test]
fn a_document_proves_an_entry_at_or_below_its_seq() {
    let topic = Topic::serving(View::Products);
    let gap = gap(topic.judge(&tidemark(0, &[(55, 4)]), PRODUCTS, BY_ID));
    assert!(gap.is_proven_by(4));
    assert!(gap.is_proven_by(5));
    assert!(
        !gap.is_proven_by(3),
        "the entry may be of another subject, or newer"
    );
}

#[test]
fn a_document_below_the_floor_proves_nothing() {
    let topic = Topic::serving(View::Products)
        .visible(View::Products, 1, 55, 9)
        .announce(View::Products, 2)
        .visible(View::Products, 2, 55, 7)
        .switch(View::Products, Some(1), 2);
    let gap = gap(topic.judge(&tidemark(0, &[(55, 2)]), PRODUCTS, BY_ID));
    assert!(!gap.is_proven_by(8));
    assert!(gap.is_proven_by(9));
}

#[test]
fn an_entry_beyond_the_heads_that_projectors_have_seen_is_doubtful() {
    let mark = LaneMark {
        lane: lane(3),
        seq: 5,
        head: Some(8),
    };
    let topic = Topic::serving(View::Products).watermark(View::Products, 1, watermark(vec![mark]));
    let doubtful = |seq| gap(topic.judge(&tidemark(0, &[(3, seq)]), PRODUCTS, SEARCH)).doubtful;
    assert_eq!(doubtful(8), []);
    assert_eq!(
        doubtful(9),
        [Position {
            lane: lane(3),
            seq: 9
        }]
    );
}

#[test]
fn a_foreign_tidemark_needs_the_heads_at_its_arrival() {
    let topic = Topic::serving(View::Products).visible(View::Products, 1, 3, 9);
    let heads: LaneSeqs = [(lane(3), 9), (lane(4), 1)].into_iter().collect();
    let tidemark = Tidemark::new(EPOCH);
    let need = Need::of(&Presented {
        tidemark,
        tokens: 1,
        foreign: vec![String::new()],
    })
    .with_heads(&heads);
    let gap = gap(topic.judge(&need, PRODUCTS, SEARCH));
    assert_eq!(gap.lanes[0].lane, lane(4));
    snapshot(topic.judge(&need, PRODUCTS, BY_ID));
}

#[test]
fn heads_that_cannot_be_learnt_are_never_covered() {
    let topic = Topic::serving(View::Products);
    let need = tidemark(0, &[]).unmeetable();
    assert!(gap(topic.judge(&need, PRODUCTS, SEARCH)).offset_behind);
}

#[test]
fn an_entry_that_every_view_shows_is_settled() {
    let topic = Topic::serving(View::Products).visible(View::Products, 1, 3, 9);
    let need = tidemark(0, &[(3, 9)]);
    let settled = snapshot(topic.judge(&need, PRODUCTS, SEARCH)).settled;
    assert_eq!(
        settled,
        [Position {
            lane: lane(3),
            seq: 9
        }]
    );
    let topic = topic.announce(View::Categories, 1);
    let settled = snapshot(topic.judge(&need, PRODUCTS, SEARCH)).settled;
    assert_eq!(
        settled,
        [],
        "another view is announced that does not show it yet"
    );
}

fn holding(subject: Uuid, seq: Seq) -> Topic {
    let lane = Lane::of(subject);
    let mark = LaneMark {
        lane,
        seq: 9,
        head: Some(9),
    };
    let watermark = Watermark {
        held: BTreeMap::from([(lane, vec![Held { subject, seq }])]),
        ..watermark(vec![mark])
    };
    Topic::serving(View::Products).watermark(View::Products, 1, watermark)
}

#[test]
fn a_held_subject_is_held_for_those_who_know_of_what_is_held_back() {
    let topic = holding(SUBJECT, 6);
    let held =
        |seq, target| snapshot(topic.judge(&tidemark(0, &[(55, seq)]), PRODUCTS, target)).held;
    assert!(held(6, BY_ID));
    assert!(!held(5, BY_ID), "all that was seen is shown");
    assert!(held(6, SEARCH), "it may be what is searched for");
    assert!(!held(5, SEARCH));
}

#[test]
fn another_subject_of_the_lane_is_not_held() {
    let other = (0_u128..)
        .map(Uuid::from_u128)
        .find(|id| *id != SUBJECT && Lane::of(*id) == lane(55));
    let topic = holding(SUBJECT, 6);
    let need = tidemark(0, &[(55, 9)]);
    assert!(!snapshot(topic.judge(&need, PRODUCTS, other)).held);
}

#[test]
fn nothing_is_held_for_those_without_a_tidemark() {
    let topic = holding(SUBJECT, 6);
    assert!(!snapshot(topic.judge(&nothing(), PRODUCTS, BY_ID)).held);
}
