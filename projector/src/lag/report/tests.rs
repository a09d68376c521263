//! What is said of a lane, as sentences.

use rstest::rstest;
use schemas::watermark::LaneState as Said;

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
struct Scene {
    head: Seq,
    heads_at: Option<DateTime<Utc>>,
    /// How long the event at 6 has waited, in milliseconds.
    waits: i64,
    is_active: bool,
    /// None where another process owns the lane.
    phase: Option<Phase>,
}

impl Scene {
    fn state(&self) -> LaneState {
        let mut build = BuildState::default();
        build.visible.raise(lane(), 5);
        let mut said = Said::default();
        (said.seq, said.at) = (5, now());
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
        };
        let own = self.phase.map(|phase| OfLane {
            phase,
            ..OfLane::default()
        });
        lane_lag(lane(), &question, own.as_ref()).state
    }
}

const FOLLOWED: Scene = Scene {
    head: 5,
    heads_at: None,
    waits: 0,
    is_active: true,
    phase: Some(Phase::Following),
};

#[rstest]
#[case::told_just_now(Some(ago(0)), LaneState::Idle)]
#[case::told_three_seconds_ago(Some(ago(3_000)), LaneState::Idle)]
#[case::told_long_ago(Some(ago(3_001)), LaneState::Unknown)]
#[case::never_told(None, LaneState::Unknown)]
fn a_lane_is_idle_only_by_heads_that_are_known(
    #[case] heads_at: Option<DateTime<Utc>>,
    #[case] state: LaneState,
) {
    let scene = Scene {
        heads_at,
        ..FOLLOWED
    };
    assert_eq!(scene.state(), state);
}

#[rstest]
#[case::of_the_active_build(true, Some(Phase::Following), LaneState::Stalled)]
#[case::of_a_candidate(false, Some(Phase::Following), LaneState::Behind)]
#[case::that_catches_up(true, Some(Phase::CatchingUp), LaneState::Behind)]
#[case::that_another_process_owns(true, None, LaneState::Behind)]
fn a_lane_that_shows_nothing_new_for_long(
    #[case] is_active: bool,
    #[case] phase: Option<Phase>,
    #[case] state: LaneState,
) {
    let scene = Scene {
        head: 6,
        heads_at: Some(now()),
        waits: 5_001,
        is_active,
        phase,
    };
    assert_eq!(scene.state(), state);
}

#[test]
fn a_lane_that_is_behind_for_a_moment_is_not_stalled() {
    let scene = Scene {
        head: 6,
        waits: 5_000,
        heads_at: Some(now()),
        ..FOLLOWED
    };
    assert_eq!(scene.state(), LaneState::Behind);
}
