//! What is said of a lane, as sentences.

use rstest::rstest;
use schemas::watermark::LaneState;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn ago(milliseconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::milliseconds(milliseconds)
}

fn lane() -> Lane {
    Lane::try_from(3_u8).unwrap()
}

/// A lane of a build that shows everything up to 5, of which was heard just now.
#[derive(Clone, Copy)]
struct Scene {
    head: Seq,
    heads_at: Option<DateTime<Utc>>,
    /// How long the event at 6 has waited, in milliseconds.
    waits: i64,
    is_active: bool,
    /// None where another process owns the lane.
    phase: Option<Phase>,
    /// How long ago, in milliseconds, more became visible, more was applied, a fill went on.
    moved: [i64; 3],
    /// How long ago, in milliseconds, a record of it was read; none where that may be older.
    heard: Option<u64>,
    /// By how much the clock of its publisher is ahead of ours.
    skew: TimeDelta,
}

impl Scene {
    fn state(&self) -> LaneHealth {
        let mut build = BuildState::default();
        build.visible.raise(lane(), 5);
        let mut said = LaneState::default();
        let heard = |ago| HEARD_BY - Duration::from_millis(ago);
        (said.seq, said.at) = (5, now() + self.skew);
        said.received = self.heard.map(heard);
        build.lanes.insert(lane(), said);
        let mut heads = Heads {
            at: self.heads_at,
            ..Heads::default()
        };
        heads.seqs.set(lane(), self.head);
        let waiting = BTreeMap::from([(lane(), ago(self.waits))]);
        let question = Question {
            build: &build,
            is_active: self.is_active,
            heads: &heads,
            waiting: Some(&waiting),
            now: now(),
            heard_by: HEARD_BY,
        };
        let [shown_at, applied_at, filled_at] = self.moved.map(ago);
        let of_build = OfBuild {
            filled_at,
            ..OfBuild::default()
        };
        let own = self.phase.map(|phase| OfLane {
            phase,
            shown_at,
            applied_at,
            ..OfLane::default()
        });
        lane_lag(lane(), &question, own.as_ref().map(|own| (&of_build, own))).state
    }
}

const FOLLOWED: Scene = Scene {
    head: 5,
    heads_at: None,
    waits: 0,
    is_active: true,
    phase: Some(Phase::Following),
    moved: [LONG; 3],
    heard: Some(0),
    skew: TimeDelta::zero(),
};

/// The time by which the topic was read.
const HEARD_BY: Duration = Duration::from_secs(100);

/// In milliseconds: longer than a lane may rest.
const LONG: i64 = 5_001;

const BEHIND_FOR_LONG: Scene = Scene {
    head: 6,
    waits: LONG,
    ..FOLLOWED
};

#[rstest]
#[case::told_just_now(Some(ago(0)), LaneHealth::Idle)]
#[case::told_three_seconds_ago(Some(ago(3_000)), LaneHealth::Idle)]
#[case::told_long_ago(Some(ago(3_001)), LaneHealth::Unknown)]
#[case::never_told(None, LaneHealth::Unknown)]
fn a_lane_is_idle_only_by_heads_that_are_known(
    #[case] heads_at: Option<DateTime<Utc>>,
    #[case] state: LaneHealth,
) {
    let scene = Scene {
        heads_at,
        ..FOLLOWED
    };
    assert_eq!(scene.state(), state);
}

#[rstest]
#[case::of_the_active_build(true, Some(Phase::Following), LaneHealth::Stalled)]
#[case::that_catches_up(true, Some(Phase::CatchingUp), LaneHealth::Stalled)]
#[case::whose_checkpoint_is_not_read(true, Some(Phase::Loading), LaneHealth::Stalled)]
#[case::of_a_candidate(false, Some(Phase::Following), LaneHealth::Stalled)]
#[case::of_a_candidate_that_is_filled(false, Some(Phase::Filling), LaneHealth::Stalled)]
#[case::that_another_process_owns(true, None, LaneHealth::Behind)]
fn a_lane_that_does_not_move_for_long(
    #[case] is_active: bool,
    #[case] phase: Option<Phase>,
    #[case] state: LaneHealth,
) {
    let scene = Scene {
        is_active,
        phase,
        ..BEHIND_FOR_LONG
    };
    assert_eq!(scene.state(), state);
}

const SHOWN: [i64; 3] = [0, LONG, LONG];
const APPLIED: [i64; 3] = [LONG, 0, LONG];
const FILLED: [i64; 3] = [LONG, LONG, 0];

#[rstest]
#[case::shows_more(true, Phase::Following, SHOWN, LaneHealth::Behind)]
#[case::applies_more_that_nobody_sees(true, Phase::Following, APPLIED, LaneHealth::Stalled)]
#[case::catches_up_unseen(true, Phase::CatchingUp, APPLIED, LaneHealth::Stalled)]
#[case::waits_for_its_turn_to_be_filled(true, Phase::Filling, FILLED, LaneHealth::Behind)]
#[case::of_a_candidate_applies_more(false, Phase::Following, APPLIED, LaneHealth::Behind)]
#[case::of_a_candidate_that_is_filled(false, Phase::Following, FILLED, LaneHealth::Behind)]
fn a_lane_that_is_far_behind_and(
    #[case] is_active: bool,
    #[case] phase: Phase,
    #[case] moved: [i64; 3],
    #[case] state: LaneHealth,
) {
    let scene = Scene {
        is_active,
        phase: Some(phase),
        moved,
        ..BEHIND_FOR_LONG
    };
    assert_eq!(scene.state(), state);
}

#[test]
fn a_lane_that_is_behind_for_a_moment_is_not_stalled() {
    let scene = Scene {
        waits: 5_000,
        ..BEHIND_FOR_LONG
    };
    assert_eq!(scene.state(), LaneHealth::Behind);
}

#[rstest]
#[case::just_now(Some(0), LaneHealth::Idle)]
#[case::three_seconds_ago(Some(3_000), LaneHealth::Idle)]
#[case::long_ago(Some(3_001), LaneHealth::Dead)]
#[case::at_the_start_of_this_process(None, LaneHealth::Dead)]
fn a_lane_is_dead_by_the_time_since_it_was_heard_whatever_its_publishers_clock_says(
    #[case] heard: Option<u64>,
    #[case] state: LaneHealth,
) {
    for skew in [-4, 0, 4].map(TimeDelta::seconds) {
        let scene = Scene {
            heads_at: Some(now()),
            heard,
            skew,
            ..FOLLOWED
        };
        assert_eq!(scene.state(), state, "{skew}");
    }
}
