//! Which builds are stuck: they are behind here, and nothing moves, although the servers answer.
//!
//! An index may take no documents for many reasons, and Elasticsearch does not tell all of them. So
//! progress counts: what this process has written and shown of the build. What other processes do
//! for their lanes does not matter, since an index that takes nothing takes nothing of anybody.

use std::collections::{BTreeMap, BTreeSet};

use chassis::clock;
use chrono::{DateTime, Utc};
use schemas::lane::{LaneSeqs, Seq};
use schemas::view::View;
use tokio::time::Instant;

use crate::board::{Board, OfBuild};
use crate::build_id::BuildId;
use crate::config::{HEADS_KNOWN_FOR, STUCK_AFTER, STUCK_INTERVAL};

/// How far a build is. It moves where this differs from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// Over all lanes.
    applied: Seq,
    visible: Seq,
    /// Of any build: they wait for each other's turn.
    filled_at: Option<DateTime<Utc>>,
}

/// What earlier looks have shown of the builds that are behind.
#[derive(Debug, Default)]
pub(super) struct Movement {
    /// How far they are, and since when.
    behind: BTreeMap<BuildId, (Progress, Instant)>,
    looked_at: Option<Instant>,
}

impl Movement {
    /// Takes in what the board shows, once a second. While a server is away nothing can move, and no
    /// time counts.
    pub(super) fn look(&mut self, board: &Board, elasticsearch_answers: bool) {
        let now = clock::instant();
        if self.looked_at.is_some_and(|at| now - at < STUCK_INTERVAL) {
            return;
        }
        self.looked_at = Some(now);
        let heads = board.heads();
        let age = heads.at.map(|at| clock::now() - at);
        if elasticsearch_answers && age.is_some_and(|age| age <= HEADS_KNOWN_FOR) {
            self.compare(&board.builds(), &heads.seqs, now);
        } else {
            self.forget();
        }
    }

    fn compare(&mut self, builds: &BTreeMap<BuildId, OfBuild>, heads: &LaneSeqs, now: Instant) {
        let filled_at = builds.values().map(|build| build.filled_at).max();
        let behind = builds.iter().filter(|(_, build)| is_behind(build, heads));
        let behind = behind.map(|(id, build)| {
            let progress = progress_of(build, filled_at);
            let before = self.behind.get(id).filter(|before| before.0 == progress);
            (*id, (progress, before.map_or(now, |before| before.1)))
        });
        self.behind = behind.collect();
    }

    fn forget(&mut self) {
        self.behind.clear();
    }

    pub(super) fn stuck(&self, view: View, now: Instant) -> BTreeSet<u32> {
        let stuck = self.behind.iter().filter(|(id, (_, since))| {
            id.view == view && now.saturating_duration_since(*since) > STUCK_AFTER
        });
        stuck.map(|(id, _)| id.number).collect()
    }
}

/// A lane that stopped at an event waits for somebody: any other build would stop there as well.
fn is_behind(build: &OfBuild, heads: &LaneSeqs) -> bool {
    let mut lanes = build.lanes.iter();
    lanes.any(|(lane, of_lane)| {
        of_lane.stopped.is_none() && of_lane.visible.unwrap_or(0) < heads.get(*lane)
    })
}

fn progress_of(build: &OfBuild, filled_at: Option<DateTime<Utc>>) -> Progress {
    let lanes = build.lanes.values();
    Progress {
        applied: lanes.clone().map(|lane| lane.applied).sum(),
        visible: lanes.filter_map(|lane| lane.visible).sum(),
        filled_at,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemas::lane::Lane;

    use super::*;
    use crate::board::OfLane;
    use crate::project::Stopped;

    const BUILD: BuildId = BuildId {
        view: View::Products,
        number: 2,
    };

    fn lane() -> Lane {
        Lane::try_from(3_u8).unwrap()
    }

    /// A build that shows this much of a lane of nine events.
    fn showing(seq: Seq) -> OfBuild {
        let of_lane = OfLane {
            applied: seq,
            visible: Some(seq),
            ..OfLane::default()
        };
        OfBuild {
            lanes: BTreeMap::from([(lane(), of_lane)]),
            ..OfBuild::default()
        }
    }

    struct Scene {
        movement: Movement,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                movement: Movement::default(),
                now: clock::instant(),
            }
        }

        fn look(&mut self, build: OfBuild) {
            let heads = LaneSeqs::from_iter([(lane(), 9)]);
            let builds = BTreeMap::from([(BUILD, build)]);
            self.movement.compare(&builds, &heads, self.now);
        }

        /// After the time that makes a build stuck.
        fn later(&mut self) {
            self.now += STUCK_AFTER + Duration::from_millis(1);
        }

        fn is_stuck(&self) -> bool {
            let stuck = self.movement.stuck(View::Products, self.now);
            stuck.contains(&BUILD.number)
        }
    }

    #[test]
    fn a_build_that_is_behind_and_does_not_move_is_stuck_after_a_while() {
        let mut scene = Scene::new();
        scene.look(showing(4));
        scene.now += STUCK_AFTER;
        scene.look(showing(4));
        assert!(!scene.is_stuck());
        scene.now += Duration::from_millis(1);
        assert!(scene.is_stuck());
        scene.look(showing(5));
        assert!(!scene.is_stuck(), "it moves");
    }

    #[test]
    fn a_build_at_its_heads_is_not_stuck_however_long_it_rests() {
        let mut scene = Scene::new();
        scene.look(showing(9));
        scene.later();
        scene.look(showing(9));
        assert!(!scene.is_stuck());
        // An event that came just now has not waited for long.
        scene.look(showing(8));
        assert!(!scene.is_stuck());
    }

    #[test]
    fn a_fill_moves_by_its_steps_although_no_lane_is_filled_wholly() {
        let mut scene = Scene::new();
        scene.look(showing(0));
        scene.later();
        let mut build = showing(0);
        build.filled_at += Duration::from_secs(1);
        scene.look(build);
        assert!(!scene.is_stuck());
    }

    #[test]
    fn a_build_that_could_not_move_because_a_server_was_away_is_not_stuck() {
        let mut scene = Scene::new();
        scene.look(showing(4));
        scene.movement.forget();
        scene.later();
        scene.look(showing(4));
        assert!(!scene.is_stuck());
    }

    #[test]
    fn a_lane_that_stopped_at_an_event_would_stop_in_every_build() {
        let mut scene = Scene::new();
        let mut build = showing(4);
        build.lanes.get_mut(&lane()).unwrap().stopped = Some(stopped());
        scene.look(build.clone());
        scene.later();
        scene.look(build);
        assert!(!scene.is_stuck());
    }

    fn stopped() -> Stopped {
        Stopped::Poison {
            seq: 5,
            event_id: clock::new_id(),
            reason: "refused".to_owned(),
        }
    }
}
