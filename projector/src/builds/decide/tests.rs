//! Which step comes next, as sentences.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::id::Epoch;
use schemas::watermark::{Announced, LaneMark, Record, Retired, Watermark, Wish};

use super::*;

const EPOCH: Epoch = Epoch(7);

struct Log {
    state: WatermarkState,
    offset: u64,
    lost: BTreeSet<u32>,
    removed: BTreeSet<u32>,
    now: DateTime<Utc>,
}

impl Log {
    fn new() -> Self {
        let mut state = WatermarkState::new(EPOCH);
        state.reach_end();
        let (lost, removed) = (BTreeSet::new(), BTreeSet::new());
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        Self {
            state,
            offset: 0,
            lost,
            removed,
            now,
        }
    }

    fn with(mut self, record: Record) -> Self {
        self.state.apply(self.offset, record, Duration::ZERO);
        self.offset += 1;
        self
    }

    fn announced(self, build: u32, wish: Option<Uuid>) -> Self {
        let announced = Announced {
            epoch: EPOCH,
            index: format!("b{build}"),
            index_uuid: format!("u{build}"),
            version: View::Products.version(),
            at: self.now,
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
            .map(|lane| LaneMark { lane, seq, head })
            .collect();
        let watermark = Watermark {
            version: View::Products.version(),
            epoch: EPOCH,
            lanes,
            at: self.now,
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
            Step::Retire { build } => {
                let retired = Retired {
                    epoch: EPOCH,
                    at: self.now,
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
            at: self.now,
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
            removed,
            now,
            ..
        } = self;
        next_step(
            state,
            &Facts {
                view: View::Products,
                now: *now,
                lost,
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

#[test]
fn a_build_of_which_nothing_was_heard_for_three_seconds_does_not_take_over() {
    let mut log = Log::new().announced(1, None).visible(1, 5, 5);
    log.now += TimeDelta::seconds(4);
    assert_eq!(log.step(), None);
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
    assert_eq!(log.step(), Some(Step::Retire { build: 1 }));
}

#[test]
fn the_old_build_is_fed_until_the_new_one_has_passed_what_it_showed() {
    let log = Log::serving(5).wish(9, WishKind::Replay);
    let step = log.step();
    let log = log.then(step).visible(2, 5, 5);
    let step = log.step();
    let log = log.visible(1, 8, 8).then(step);
    assert_eq!(log.step(), None);
    assert_eq!(log.visible(2, 8, 8).step(), Some(Step::Retire { build: 1 }));
}

#[test]
fn a_retired_build_is_removed_after_two_minutes() {
    let mut log = Log::serving(5).wish(9, WishKind::Replay);
    for _ in 0..4 {
        let step = log.step();
        log = log.then(step).visible(2, 5, 5);
        if log.step().is_none() {
            break;
        }
    }
    assert_eq!(log.step(), None);
    log.now += TimeDelta::seconds(121);
    assert_eq!(log.step(), Some(Step::Remove { build: 1 }));
    log.removed.insert(1);
    assert_eq!(log.step(), None);
}

#[test]
fn a_lost_build_is_retired_and_the_next_number_takes_its_place() {
    let mut log = Log::serving(5);
    log.lost.insert(1);
    let step = log.step();
    assert_eq!(step, Some(Step::Retire { build: 1 }));
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
