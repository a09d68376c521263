//! What this process knows of heads, lanes and builds. Each build writes its progress; watermarks,
//! checkpoints and the lag report read it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chassis::clock;
use chrono::{DateTime, Utc};
use schemas::lane::{Lane, LaneSeqs};
use tokio::sync::watch;

use crate::build_id::BuildId;
use crate::consume::Offsets;

mod lane;

pub use lane::{Changed, Covered, OfLane, Phase, Shown};

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Board {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    moved: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    heads: Heads,
    builds: BTreeMap<BuildId, OfBuild>,
    offsets: Offsets,
}

/// The name of a view and the number of a build. The view may be one that only another release knows.
pub type OfView = (String, u32);

/// Lane heads as last read from PostgreSQL.
#[derive(Debug, Clone, Default)]
pub struct Heads {
    pub seqs: LaneSeqs,
    /// None before the first answer.
    pub at: Option<DateTime<Utc>>,
    /// For each build that is fed and each lane that it does not show wholly: when the first event
    /// that it does not show was recorded.
    pub waiting_since: BTreeMap<OfView, BTreeMap<Lane, DateTime<Utc>>>,
}

#[derive(Debug, Clone, Default)]
pub struct OfBuild {
    pub index_uuid: String,
    /// When a step of its fill ended last.
    pub filled_at: DateTime<Utc>,
    pub lanes: BTreeMap<Lane, OfLane>,
}

impl Default for Board {
    fn default() -> Self {
        let shared = Shared {
            state: Mutex::default(),
            moved: watch::channel(0).0,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Board {
    /// Notified when changed documents became visible.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.shared.moved.subscribe()
    }

    pub fn set_heads(&self, heads: Heads) {
        self.lock().heads = heads;
    }

    pub fn heads(&self) -> Heads {
        self.lock().heads.clone()
    }

    /// Records the progress of lanes. Their changed subjects are added to those recorded before, and
    /// what a refresh has shown stays shown.
    pub fn report(&self, build: BuildId, index_uuid: &str, lanes: Vec<(Lane, OfLane)>) {
        let now = clock::now();
        let mut state = self.lock();
        let of_build = state.builds.entry(build).or_default();
        index_uuid.clone_into(&mut of_build.index_uuid);
        for (lane, mut of_lane) in lanes {
            (of_lane.applied_at, of_lane.shown_at) = (now, now);
            if let Some(before) = of_build.lanes.remove(&lane) {
                of_lane.follow(before);
            }
            of_build.lanes.insert(lane, of_lane);
        }
    }

    /// Records that a step of the build's fill has ended.
    pub fn fill_moved(&self, build: BuildId) {
        if let Some(of_build) = self.lock().builds.get_mut(&build) {
            of_build.filled_at = clock::now();
        }
    }

    /// Records what a refresh has shown. A lane that was restarted after the refresh was sent may not
    /// have reached that position again.
    pub fn show(&self, build: BuildId, covered: &BTreeMap<Lane, Covered>) {
        let mut has_changed = false;
        let mut state = self.lock();
        let Some(of_build) = state.builds.get_mut(&build) else {
            return;
        };
        for (lane, covered) in covered {
            let of_lane = of_build.lanes.get_mut(lane);
            let Some(of_lane) = of_lane.filter(|of_lane| of_lane.assignment == covered.assignment)
            else {
                continue;
            };
            of_lane.changed.merge(covered.changed.clone());
            if of_lane.applied >= covered.seq && of_lane.visible < Some(covered.seq) {
                of_lane.visible = Some(covered.seq);
                of_lane.shown_at = clock::now();
                of_lane.covered_recorded_at = covered.recorded_at;
                has_changed |= !covered.changed.is_nothing();
            }
        }
        drop(state);
        if has_changed {
            self.shared.moved.send_modify(|number| *number += 1);
        }
    }

    /// How far every lane of every build is visible.
    pub fn shown(&self) -> BTreeMap<BuildId, BTreeMap<Lane, Shown>> {
        let state = self.lock();
        let builds = state.builds.iter().map(|(build, of_build)| {
            let lanes = of_build.lanes.iter().map(|(lane, of_lane)| {
                let shown = Shown {
                    visible: of_lane.visible,
                    has_changed: !of_lane.changed.is_nothing(),
                };
                (*lane, shown)
            });
            (*build, lanes.collect())
        });
        builds.collect()
    }

    /// Removes lanes that are no longer owned and builds that are no longer fed.
    pub fn retain(&self, keep: impl Fn(BuildId, Lane) -> bool) {
        let mut state = self.lock();
        for (build, of_build) in &mut state.builds {
            of_build.lanes.retain(|lane, _| keep(*build, *lane));
        }
        state
            .builds
            .retain(|_, of_build| !of_build.lanes.is_empty());
    }

    pub fn set_offsets(&self, offsets: Offsets) {
        self.lock().offsets = offsets;
    }

    pub fn builds(&self) -> BTreeMap<BuildId, OfBuild> {
        self.lock().builds.clone()
    }

    /// The lanes with their changed subjects, which the caller publishes or gives back.
    pub fn take(&self, build: BuildId, lanes: &[Lane]) -> BTreeMap<Lane, OfLane> {
        let mut state = self.lock();
        let Some(of_build) = state.builds.get_mut(&build) else {
            return BTreeMap::new();
        };
        let taken = lanes.iter().filter_map(|lane| {
            let of_lane = of_build.lanes.get_mut(lane)?;
            let taken = of_lane.clone();
            of_lane.changed = Changed::nothing();
            Some((*lane, taken))
        });
        taken.collect()
    }

    pub fn give_back_changed(&self, build: BuildId, lanes: &[Lane]) {
        let mut state = self.lock();
        let Some(of_build) = state.builds.get_mut(&build) else {
            return;
        };
        for lane in lanes {
            if let Some(of_lane) = of_build.lanes.get_mut(lane) {
                of_lane.changed = Changed::All;
            }
        }
    }

    /// All builds, and the offsets that may be committed once checkpoints say what they have applied.
    pub fn with_offsets<T>(
        &self,
        read: impl FnOnce(&BTreeMap<BuildId, OfBuild>, &Offsets) -> T,
    ) -> T {
        let state = self.lock();
        read(&state.builds, &state.offsets)
    }

    /// For each lane the highest position that any build has applied.
    pub fn applied(&self) -> LaneSeqs {
        let state = self.lock();
        let lanes = state.builds.values().flat_map(|of_build| &of_build.lanes);
        lanes
            .map(|(lane, of_lane)| (*lane, of_lane.applied))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use schemas::lane::Seq;
    use schemas::view::View;

    use super::*;

    const BUILD: BuildId = BuildId {
        view: View::Products,
        number: 1,
    };

    fn lane() -> Lane {
        Lane::try_from(5u8).unwrap()
    }

    fn report(board: &Board, assignment: u64, applied: Seq, visible: Option<Seq>) {
        let of_lane = OfLane {
            assignment,
            applied,
            visible,
            changed: Changed::nothing(),
            ..OfLane::default()
        };
        board.report(BUILD, "uuid", vec![(lane(), of_lane)]);
    }

    fn show(board: &Board, assignment: u64, seq: Seq, changed: &[u32]) {
        let covered = Covered {
            assignment,
            seq,
            recorded_at: None,
            changed: Changed::These(changed.iter().copied().collect()),
        };
        board.show(BUILD, &BTreeMap::from([(lane(), covered)]));
    }

    fn visible(board: &Board) -> Option<Seq> {
        board.shown()[&BUILD][&lane()].visible
    }

    #[test]
    fn what_a_refresh_has_shown_stays_shown_under_the_same_assignment() {
        let board = Board::default();
        report(&board, 1, 9, Some(3));
        show(&board, 1, 7, &[]);
        report(&board, 1, 9, Some(3));
        assert_eq!(visible(&board), Some(7));
        report(&board, 2, 0, None);
        assert_eq!(visible(&board), None);
    }

    #[test]
    fn a_refresh_shows_nothing_of_a_lane_that_began_anew_since() {
        let board = Board::default();
        report(&board, 2, 0, None);
        show(&board, 1, 7, &[]);
        assert_eq!(visible(&board), None, "another assignment");
        show(&board, 2, 7, &[]);
        assert_eq!(visible(&board), None, "not as far again");
    }

    #[test]
    fn only_changed_documents_wake_who_waits_for_them() {
        let board = Board::default();
        let moved = board.moved();
        report(&board, 1, 9, None);
        show(&board, 1, 7, &[]);
        assert!(!moved.has_changed().unwrap());
        show(&board, 1, 8, &[4]);
        assert!(moved.has_changed().unwrap());
    }
}
