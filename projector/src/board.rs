//! What this process knows right now of heads, lanes and builds: the cycle writes it, and whoever
//! speaks of it (watermarks, checkpoints, lag) reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

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

/// Lane heads as PostgreSQL gave them last.
#[derive(Debug, Clone, Default)]
pub struct Heads {
    pub seqs: LaneSeqs,
    /// None before the first answer.
    pub at: Option<DateTime<Utc>>,
    /// When the first event was recorded that a lane's slowest build does not show.
    pub waiting_since: BTreeMap<Lane, DateTime<Utc>>,
}

#[derive(Debug, Clone, Default)]
pub struct OfBuild {
    pub index_uuid: String,
    pub lanes: BTreeMap<Lane, OfLane>,
}

/// A lane of a build, of those that are ours.
#[derive(Debug, Clone, Default)]
pub struct OfLane {
    pub phase: Phase,
    /// All up to here is acknowledged.
    pub applied: Seq,
    pub event_id: Option<Uuid>,
    /// All up to here is visible, after a refresh of our own. None before the first.
    pub visible: Option<Seq>,
    pub covered_recorded_at: Option<DateTime<Utc>>,
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
    /// Wakes whenever lanes became visible further.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.shared.moved.subscribe()
    }

    pub fn set_heads(&self, heads: Heads) {
        self.lock().heads = heads;
    }

    pub fn heads(&self) -> Heads {
        self.lock().heads.clone()
    }

    /// Notes how lanes of a build stand. Their changed subjects are added to those noted before.
    pub fn report(&self, build: BuildId, index_uuid: &str, lanes: BTreeMap<Lane, OfLane>) {
        let mut visible_moved = false;
        let mut state = self.lock();
        let of_build = state.builds.entry(build).or_default();
        index_uuid.clone_into(&mut of_build.index_uuid);
        for (lane, mut of_lane) in lanes {
            let before = of_build.lanes.remove(&lane);
            visible_moved |= before.as_ref().and_then(|before| before.visible) != of_lane.visible;
            if let Some(before) = before {
                of_lane.changed.merge(before.changed);
            }
            of_build.lanes.insert(lane, of_lane);
        }
        drop(state);
        if visible_moved {
            self.shared.moved.send_modify(|number| *number += 1);
        }
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
