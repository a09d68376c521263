//! What this process knows right now of heads, lanes and builds: each build writes what has moved,
//! and whoever speaks of it (watermarks, checkpoints, lag) reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use chassis::clock;
use chrono::{DateTime, Utc};
use schemas::lane::{Lane, LaneSeqs, Seq};
use schemas::watermark::MAX_CHANGED;
use tokio::sync::watch;
use uuid::Uuid;

use crate::cache::BuildId;
use crate::checkpoint::Checkpoint;
use crate::consume::Offsets;
use crate::project::Stopped;

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

/// The name of a view, and the number of a build of it: also of views that another release knows.
pub type OfView = (String, u32);

/// Lane heads as PostgreSQL gave them last.
#[derive(Debug, Clone, Default)]
pub struct Heads {
    pub seqs: LaneSeqs,
    /// None before the first answer.
    pub at: Option<DateTime<Utc>>,
    /// For each build that is fed: when the first event of a lane was recorded that it does not
    /// show. Lanes of which it shows everything are not there.
    pub waiting_since: BTreeMap<OfView, BTreeMap<Lane, DateTime<Utc>>>,
}

#[derive(Debug, Clone, Default)]
pub struct OfBuild {
    pub index_uuid: String,
    /// When a step of a fill of it ended last.
    pub filled_at: DateTime<Utc>,
    pub lanes: BTreeMap<Lane, OfLane>,
}

/// A lane of a build, of those that are ours.
#[derive(Debug, Clone, Default)]
pub struct OfLane {
    /// The number of the assignment under which the lane is ours.
    pub life: u64,
    pub phase: Phase,
    /// All up to here is acknowledged.
    pub applied: Seq,
    pub event_id: Option<Uuid>,
    /// All up to here is visible, after a refresh of our own. None before the first.
    pub visible: Option<Seq>,
    pub covered_recorded_at: Option<DateTime<Utc>>,
    /// When more of it became applied last, and visible; of a lane just taken, when it was taken.
    pub applied_at: DateTime<Utc>,
    pub shown_at: DateTime<Utc>,
    pub stopped: Option<Stopped>,
    /// Highest seq that came from Kafka.
    pub published: Option<Seq>,
    /// Subjects changed since the last watermark record.
    pub changed: Changed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Its checkpoint is being read.
    #[default]
    Loading,
    /// It is filled beside the live cycle.
    Filling,
    /// It is filled from the table, in order.
    CatchingUp,
    Following,
}

/// What a refresh shows of a lane.
#[derive(Debug, Clone)]
pub struct Covered {
    pub life: u64,
    pub seq: Seq,
    pub recorded_at: Option<DateTime<Utc>>,
    pub changed: Changed,
}

/// What a lane shows, and whether any document changed since the last watermark record.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    pub visible: Option<Seq>,
    pub has_changed: bool,
}

/// Subjects by their hashes, or too many to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    All,
    These(BTreeSet<u32>),
}

impl Default for Changed {
    /// What was before is not known.
    fn default() -> Self {
        Self::All
    }
}

impl Changed {
    pub fn nothing() -> Self {
        Self::These(BTreeSet::new())
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::These(these) if these.is_empty())
    }

    pub fn add(&mut self, hashes: impl IntoIterator<Item = u32>) {
        let Self::These(these) = self else { return };
        these.extend(hashes);
        if these.len() > MAX_CHANGED {
            *self = Self::All;
        }
    }

    pub fn merge(&mut self, other: Self) {
        match other {
            Self::All => *self = Self::All,
            Self::These(these) => self.add(these),
        }
    }
}

impl OfLane {
    /// Takes over what was noted of the lane before, and stays true.
    fn follow(&mut self, before: Self) {
        let is_same = before.life == self.life;
        if is_same && self.visible.is_some() && before.visible > self.visible {
            self.visible = before.visible;
            self.covered_recorded_at = before.covered_recorded_at;
        }
        if is_same && before.visible == self.visible {
            self.shown_at = before.shown_at;
        }
        if is_same && before.applied == self.applied {
            self.applied_at = before.applied_at;
        }
        self.changed.merge(before.changed);
    }
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
    /// Wakes whenever changed documents became visible.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.shared.moved.subscribe()
    }

    pub fn set_heads(&self, heads: Heads) {
        self.lock().heads = heads;
    }

    pub fn heads(&self) -> Heads {
        self.lock().heads.clone()
    }

    /// Notes how lanes of a build stand that have moved. Their changed subjects are added to those
    /// noted before, and what a refresh has shown stays shown.
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

    /// Notes that a step of a fill of the build has ended.
    pub fn fill_moved(&self, build: BuildId) {
        if let Some(of_build) = self.lock().builds.get_mut(&build) {
            of_build.filled_at = clock::now();
        }
    }

    /// Notes what a refresh has shown, at once: somebody may be waiting for it. A lane that began
    /// anew since it was sent may not have come so far again.
    pub fn show(&self, build: BuildId, covered: &BTreeMap<Lane, Covered>) {
        let mut has_changed = false;
        let mut state = self.lock();
        let Some(of_build) = state.builds.get_mut(&build) else {
            return;
        };
        for (lane, covered) in covered {
            let of_lane = of_build.lanes.get_mut(lane);
            let Some(of_lane) = of_lane.filter(|of_lane| of_lane.life == covered.life) else {
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

    /// What every lane of every build shows.
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

    /// Forgets what does not satisfy this: lanes given away, builds no longer fed.
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

    /// These lanes as they stand, with the subjects changed in them: whoever takes those passes
    /// them on, or gives them back.
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

    /// What checkpoints may say, and the offsets that may be committed after them.
    pub fn checkpoints(&self) -> (Vec<Checkpoint>, Offsets) {
        let state = self.lock();
        let of_builds = state.builds.iter().flat_map(|(build, of_build)| {
            of_build.lanes.iter().filter_map(|(lane, of_lane)| {
                Some(Checkpoint {
                    build: *build,
                    index_uuid: of_build.index_uuid.clone(),
                    lane: *lane,
                    seq: of_lane.applied,
                    event_id: of_lane.event_id?,
                })
            })
        });
        (of_builds.collect(), state.offsets.clone())
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
    use schemas::view::View;

    use super::*;

    const BUILD: BuildId = BuildId {
        view: View::Products,
        number: 1,
    };

    fn lane() -> Lane {
        Lane::try_from(5u8).unwrap()
    }

    fn report(board: &Board, life: u64, applied: Seq, visible: Option<Seq>) {
        let of_lane = OfLane {
            life,
            applied,
            visible,
            changed: Changed::nothing(),
            ..OfLane::default()
        };
        board.report(BUILD, "uuid", vec![(lane(), of_lane)]);
    }

    fn show(board: &Board, life: u64, seq: Seq, changed: &[u32]) {
        let covered = Covered {
            life,
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
