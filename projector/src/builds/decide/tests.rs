//! Which step comes next, as sentences.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use schemas::id::Epoch;
use schemas::watermark::{Announced, LaneMark, Record, Retired, Watermark, Wish};

use super::*;
use crate::builds::REMOVE_AFTER;

const EPOCH: Epoch = Epoch(7);

struct Log {
    state: WatermarkState,
    offset: u64,
    lost: BTreeSet<u32>,
    stuck: BTreeSet<u32>,
    removed: BTreeSet<u32>,
    burnt: BTreeSet<u32>,
    version: u32,
    now: Duration,
    /// By how much the clocks of those who publish are ahead of the keeper's.
    skew: TimeDelta,
}

impl Log {
    fn new() -> Self {
        let mut state = WatermarkState::new(EPOCH);
        state.reach_end();
        Self {
            state,
            offset: 0,
            lost: BTreeSet::new(),
            stuck: BTreeSet::new(),
            removed: BTreeSet::new(),
            burnt: BTreeSet::new(),
            version: 1,
            now: Duration::from_secs(100),
            skew: TimeDelta::zero(),
        }
    }

    /// What a clock of the publishers shows now.
    fn at(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + self.skew + self.now
    }

    fn with(mut self, record: Record) -> Self {
        self.state.apply(self.offset, record, self.now);
        self.offset += 1;
        self
    }

    fn announced(self, build: u32, wish: Option<Uuid>) -> Self {
        let announced = Announced {
            epoch: EPOCH,
            index: format!("b{build}"),
            index_uuid: format!("u{build}"),
            version: self.version,
            at: self.at(),
            wish,
        };
        self.with(Record::Announced {
            view: "products".into(),
            build,
            announced,
        })
    }

    fn visible(self, build: u32, seq: u64, head: u64) -> Self {
        let lanes = Lane::all()
            .map(|lane| LaneMark {
                lane,
                seq,
                head: Some(head),
            })
            .collect();
        let watermark = Watermark {
            version: self.version,
            epoch: EPOCH,
            lanes,
            at: self.at(),
            heads_at: Some(self.at()),
            covered_recorded_at: None,
            held: BTreeMap::new(),
            changed: None,
        };
        self.with(Record::Watermark {
            view: "products".into(),
            build,
            partition: 0,
            watermark,
        })
    }

    fn then(self, step: Option<Step>) -> Self {
        let view = || "products".to_owned();
        match step.expect("a step was expected") {
            Step::Announce { build, wish } => self.announced(build, wish),
            Step::Switch(switch) => self.with(Record::Switch {
                view: view(),
                id: Uuid::from_u128(1),
                switch,
            }),
            Step::Retire { build, lost } => {
                let retired = Retired {
                    epoch: EPOCH,
                    at: self.at(),
                    lost,
                };
                self.with(Record::Retired {
                    view: view(),
                    build,
                    retired,
                })
            }
            Step::Remove { .. } => self,
        }
    }

    fn wish(self, id: u128, kind: WishKind) -> Self {
        let wish = Wish {
            epoch: EPOCH,
            kind,
            at: self.at(),
        };
        self.with(Record::Wish {
            view: "products".into(),
            id: Uuid::from_u128(id),
            wish,
        })
    }

    fn step(&self) -> Option<Step> {
        let Self {
            state,
            lost,
            stuck,
            removed,
            burnt,
            version,
            now,
            ..
        } = self;
        next_step(
            state,
            &Facts {
                view: View::Products,
                version: *version,
                now: *now,
                at: self.at() - self.skew,
                remove_after: REMOVE_AFTER,
                lost,
                stuck,
                burnt,
                removed,
            },
        )
    }

    /// Build 1 is active and shows everything up to `seq`.
    fn serving(seq: u64) -> Self {
        let log = Self::new().announced(1, None).visible(1, seq, seq);
        let step = log.step();
        log.then(step)
    }
}

fn retire(build: u32, lost: bool) -> Step {
    Step::Retire { build, lost }
}

fn switched(step: Option<Step>) -> Option<(Option<u32>, u32)> {
    match step {
        Some(Step::Switch(switch)) => Some((switch.from, switch.to)),
        _ => None,
    }
}

#[test]
fn a_view_without_a_build_gets_its_first() {
    assert_eq!(
        Log::new().step(),
        Some(Step::Announce {
            build: 1,
            wish: None
        })
    );
}

#[test]
fn the_first_build_takes_over_when_it_has_reached_the_heads() {
    let log = Log::new().announced(1, None).visible(1, 4, 5);
    assert_eq!(log.step(), None, "one event is missing");
    assert_eq!(switched(log.visible(1, 5, 5).step()), Some((None, 1)));
}

/// Clocks of other machines that are behind, right and ahead.
const SKEWS: [TimeDelta; 5] = [
    TimeDelta::hours(-1),
    TimeDelta::seconds(-4),
    TimeDelta::zero(),
    TimeDelta::seconds(4),
    TimeDelta::hours(1),
];

#[test]
fn a_build_takes_over_whatever_the_clocks_of_its_publishers_show() {
    for skew in SKEWS {
        let mut log = Log::new();
        log.skew = skew;
        let log = log.announced(1, None).visible(1, 5, 5);
        assert_eq!(switched(log.step()), Some((None, 1)), "{skew}");
    }
}

#[test]
fn a_build_of_which_nothing_was_heard_for_three_seconds_does_not_take_over() {
    for skew in SKEWS {
        let mut log = Log::new();
        log.skew = skew;
        let mut log = log.announced(1, None).visible(1, 5, 5);
        log.now += Duration::from_millis(3_001);
        assert_eq!(log.step(), None, "{skew}");
    }
}

#[test]
fn what_was_read_when_the_keeper_started_is_not_heard_just_now() {
    let mut log = Log::new();
    log.state = WatermarkState::new(EPOCH);
    let mut log = log.announced(1, None).visible(1, 5, 5);
    log.state.reach_end();
    assert_eq!(log.step(), None, "its owner may be gone for days");
    assert_eq!(switched(log.visible(1, 5, 5).step()), Some((None, 1)));
}

#[test]
fn a_replay_is_announced_once_filled_switched_to_and_the_old_build_retired() {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    assert_eq!(
        step,
        Some(Step::Announce {
            build: 2,
            wish: Some(Uuid::from_u128(9))
        })
    );
    let log = log.then(step);
    assert_eq!(
        log.step(),
        None,
        "the wish is answered, the build is not filled"
    );
    let log = log.visible(2, 5, 5);
    let step = log.step();
    assert_eq!(switched(step.clone()), Some((Some(1), 2)));
    let log = log.then(step);
    assert_eq!(log.step(), Some(retire(1, false)));
}

#[test]
fn the_old_build_is_fed_until_the_new_one_has_passed_what_it_showed() {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    let log = log.then(step).visible(2, 5, 5);
    let step = log.step();
    let log = log.visible(1, 8, 8).then(step);
    assert_eq!(log.step(), None);
    assert_eq!(log.visible(2, 8, 8).step(), Some(retire(1, false)));
}

#[test]
fn a_retired_build_is_removed_two_minutes_after_it_was_last_heard_of() {
    let mut log = Log::serving(5).wish(9, WishKind::Replay);
    log.skew = TimeDelta::hours(-1);
    for _ in 0..4 {
        let step = log.step();
        log = log.then(step).visible(2, 5, 5);
        if log.step().is_none() {
            break;
        }
    }
    log.now += REMOVE_AFTER;
    assert_eq!(log.step(), None);
    log.now += Duration::from_secs(1);
    assert_eq!(log.step(), Some(Step::Remove { build: 1 }));
    log.removed.insert(1);
    assert_eq!(log.step(), None);
}

#[test]
fn a_lost_build_is_retired_and_the_next_number_takes_its_place() {
    let mut log = Log::serving(5);
    log.lost.insert(1);
    let step = log.step();
    assert_eq!(step, Some(retire(1, true)));
    let log = log.then(step);
    assert_eq!(
        log.step(),
        Some(Step::Announce {
            build: 2,
            wish: None
        })
    );
}

#[test]
fn a_rollback_goes_to_a_build_that_is_still_fed_and_does_not_bounce_back() {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    let log = log.then(step).visible(2, 5, 5);
    let step = log.step();
    let log = log.then(step).wish(10, WishKind::Activate { build: 1 });
    let step = log.step();
    assert_eq!(switched(step.clone()), Some((Some(2), 1)));
    let log = log.then(step);
    assert_eq!(switched(log.step()), None);
}

#[test]
fn a_head_that_is_unknown_or_old_is_not_reached() {
    let marks = |head: Option<u64>, heads_at| {
        let mut log = Log::new().announced(1, None);
        let lanes = Lane::all().map(|lane| LaneMark { lane, seq: 0, head });
        let watermark = Watermark {
            version: 1,
            epoch: EPOCH,
            lanes: lanes.collect(),
            at: log.at(),
            heads_at,
            covered_recorded_at: None,
            held: BTreeMap::new(),
            changed: None,
        };
        log = log.with(Record::Watermark {
            view: "products".into(),
            build: 1,
            partition: 0,
            watermark,
        });
        log.step()
    };
    let now = Log::new().at();
    assert_eq!(marks(None, None), None, "unknown is not zero");
    assert_eq!(marks(Some(0), None), None, "of an unknown age");
    let old = now - TimeDelta::milliseconds(3_001);
    assert_eq!(marks(Some(0), Some(old)), None);
    let fresh = now - TimeDelta::seconds(3);
    assert_eq!(
        switched(marks(Some(0), Some(fresh))),
        Some((None, 1)),
        "an empty history is reached too"
    );
}

#[test]
fn a_lost_active_build_is_replaced_at_once_by_a_kept_one_that_is_caught_up() {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    let log = log.then(step).visible(2, 5, 5);
    let step = log.step();
    let mut log = log.then(step).visible(1, 8, 8);
    assert_eq!(log.step(), None, "build 1 is kept: it is ahead");
    log.lost.insert(2);
    let step = log.step();
    assert_eq!(step, Some(retire(2, true)));
    assert_eq!(switched(log.then(step).step()), Some((Some(2), 1)));
}

/// The active build is lost, and the candidate of a replay stands still.
fn orphaned_with_a_stuck_candidate() -> Log {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    let mut log = log.then(step).visible(2, 3, 5);
    log.stuck.insert(2);
    assert_eq!(log.step(), None, "readers are served");
    log.lost.insert(1);
    let step = log.step();
    assert_eq!(step, Some(retire(1, true)));
    log.then(step)
}

#[test]
fn where_readers_wait_for_a_stuck_build_another_one_is_announced() {
    let mut log = orphaned_with_a_stuck_candidate();
    let another = Step::Announce {
        build: 3,
        wish: None,
    };
    assert_eq!(log.step(), Some(another));
    log.stuck.clear();
    assert_eq!(log.step(), None, "it moves: it will be filled");
}

#[test]
fn of_a_stuck_build_and_the_one_in_reserve_whichever_is_filled_first_takes_over() {
    for first in [2, 3] {
        let log = orphaned_with_a_stuck_candidate();
        let step = log.step();
        let log = log.then(step).visible(3, 4, 5).visible(first, 5, 5);
        assert_eq!(switched(log.step()), Some((Some(1), first)));
    }
}

#[test]
fn there_is_one_build_in_reserve_at_most() {
    let log = orphaned_with_a_stuck_candidate();
    let step = log.step();
    let mut log = log.then(step);
    log.stuck.insert(3);
    assert_eq!(log.step(), None);
}

#[test]
fn a_first_build_that_is_stuck_gets_one_in_reserve() {
    let mut log = Log::new().announced(1, None).visible(1, 4, 5);
    log.stuck.insert(1);
    let another = Step::Announce {
        build: 2,
        wish: None,
    };
    assert_eq!(log.step(), Some(another));
}

#[test]
fn a_wish_whose_build_is_lost_before_it_was_read_from_is_answered_again() {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    let mut log = log.then(step);
    log.lost.insert(2);
    let step = log.step();
    assert_eq!(step, Some(retire(2, true)));
    let wish = Some(Uuid::from_u128(9));
    let again = Some(Step::Announce { build: 3, wish });
    assert_eq!(log.then(step).step(), again);
}

#[test]
fn a_number_whose_index_is_of_another_version_is_passed_over() {
    let mut log = Log::new();
    log.burnt.extend([1, 2]);
    let third = Step::Announce {
        build: 3,
        wish: None,
    };
    assert_eq!(log.step(), Some(third));
}

/// Version 1 serves build 1; version 2 has come and announced build 2.
fn upgraded() -> Log {
    let mut log = Log::serving(5);
    log.version = 2;
    let step = log.step();
    let announced = Step::Announce {
        build: 2,
        wish: None,
    };
    assert_eq!(step, Some(announced));
    log.then(step)
}

#[test]
fn only_the_highest_version_that_is_alive_answers_wishes_and_replaces_what_is_lost() {
    let mut log = upgraded().wish(9, WishKind::Replay);
    log.lost.insert(1);
    let step = log.step();
    log = log.then(step).visible(2, 4, 5);
    log.version = 1;
    assert_eq!(log.step(), None, "version 2 is alive, build 1 is lost");
    log.version = 2;
    assert_eq!(log.step(), None, "its build is not filled yet");
    assert_eq!(
        switched(log.visible(2, 5, 5).step()),
        Some((Some(1), 2)),
        "from the lost one"
    );
}

#[test]
fn an_older_version_takes_the_view_back_once_nobody_feeds_the_newer_ones_build() {
    for skew in SKEWS {
        let mut log = upgraded();
        log.skew = skew;
        let log = log.visible(2, 5, 5);
        let step = log.step();
        let mut log = log.then(step);
        log.version = 1;
        log.now += Duration::from_secs(60);
        log = log.visible(1, 6, 6);
        assert_eq!(log.step(), None, "version 2 is alive, {skew}");
        log.now += Duration::from_secs(1);
        assert_eq!(switched(log.step()), Some((Some(2), 1)), "{skew}");
    }
}
