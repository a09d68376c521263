//! One view as the watermark topic tells it: its builds, their lanes, and the floors.
//!
//! Watermarks only rise, whoever published them; the floors are what keeps readers from going back
//! when another build takes over.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::Change;
use crate::lane::{Lane, LaneSeqs, Seq};
use crate::watermark::{Announced, Held, LaneMark, Retired, Switch, Watermark, Wish};

/// A watermark record older than this says nothing of the present: its owner is gone.
pub const FRESH: TimeDelta = TimeDelta::seconds(3);
/// The same by the reader's own time.
pub const HEARD: Duration = Duration::from_secs(3);

/// One view: its builds and the floors under its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ViewState {
    pub active: Option<u32>,
    pub builds: BTreeMap<u32, BuildState>,
    /// A read is covered only at or above the floor.
    pub floors: LaneSeqs,
    pub wishes: BTreeMap<Uuid, Wish>,
    /// Wishes that a build or a switch already answers.
    pub fulfilled: Vec<Uuid>,
}

/// One build of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct BuildState {
    pub announced: Option<Announced>,
    pub retired: Option<Retired>,
    pub was_active: bool,
    pub visible: LaneSeqs,
    pub lanes: BTreeMap<Lane, LaneState>,
}

/// The last that was said of one lane of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LaneState {
    /// Watermark and head as the last record had them; the watermark may be below `visible`.
    pub seq: Seq,
    pub head: Seq,
    /// When it was published, by the clock of its publisher.
    pub at: DateTime<Utc>,
    /// When this process read it, by its own time; none where it was read before the first end of
    /// the topic, or behind a hole: then it is old, however new it claims to be.
    pub received: Option<Duration>,
    pub covered_recorded_at: Option<DateTime<Utc>>,
    /// Of the record with the highest seq, the later one where equal.
    pub held: Vec<Held>,
    held_as_of: Seq,
}

impl ViewState {
    /// The build that readers are served from.
    pub fn active_build(&self) -> Option<&BuildState> {
        self.builds.get(&self.active?)
    }

    /// The active build, or the newest candidate while there is none.
    pub fn serving(&self) -> Option<&BuildState> {
        self.active_build()
            .or_else(|| self.candidate().map(|(_, build)| build))
    }

    /// The newest build that is announced, not retired and not active.
    pub fn candidate(&self) -> Option<(u32, &BuildState)> {
        let mut builds = self.builds.iter().rev();
        builds
            .find(|(number, build)| build.is_fed() && Some(**number) > self.active)
            .map(|(number, build)| (*number, build))
    }

    /// True when this many events of the lane can be read without going back.
    pub fn covers(&self, lane: Lane, seq: Seq) -> bool {
        self.active_build()
            .is_some_and(|build| build.visible.get(lane) >= seq.max(self.floors.get(lane)))
    }

    /// The number of the next build: never one that was ever used.
    pub fn next_build(&self) -> u32 {
        self.builds
            .last_key_value()
            .map_or(0, |(number, _)| *number)
            + 1
    }

    pub fn open_wishes(&self) -> impl Iterator<Item = (Uuid, &Wish)> {
        let open = self
            .wishes
            .iter()
            .filter(|(id, _)| !self.fulfilled.contains(id));
        open.map(|(id, wish)| (*id, wish))
    }

    /// True when readers of this view are shown the position, with nothing held at or below it.
    pub(super) fn shows(&self, lane: Lane, seq: Seq) -> bool {
        self.serving().is_some_and(|build| {
            build.visible.get(lane) >= seq.max(self.floors.get(lane))
                && build.lowest_held(lane).is_none_or(|held| seq < held)
        })
    }

    /// True while readers are or will be served from one of its builds. A lost active build counts:
    /// the next one shows what it did not.
    pub(super) fn is_alive(&self) -> bool {
        self.active.is_some() || self.builds.values().any(BuildState::is_fed)
    }

    pub(super) fn announce(&mut self, build: u32, announced: Announced) -> Change {
        self.fulfilled.extend(announced.wish);
        self.builds.entry(build).or_default().announced = Some(announced);
        Change::Builds
    }

    /// Void where `from` is not the active build.
    pub(super) fn switch(&mut self, switch: &Switch) -> Change {
        if switch.from != self.active {
            return Change::Nothing;
        }
        self.fulfilled.extend(switch.wish);
        self.floors.merge(&switch.floors);
        if let Some(build) = self.active_build() {
            let visible = build.visible.clone();
            self.floors.merge(&visible);
        }
        self.active = Some(switch.to);
        self.raise_floors(switch.to);
        Change::Builds
    }

    pub(super) fn see_watermark(
        &mut self,
        build: u32,
        watermark: &Watermark,
        complete: bool,
        received: Option<Duration>,
    ) -> Change {
        let state = self.builds.entry(build).or_default();
        let moved = state.see(watermark, received);
        // While old records are read (at the start, or after a long pause), compaction may have
        // taken those from before a switch: what a build that was ever active shows may have been
        // seen through it.
        if self.active == Some(build) || (!complete && self.builds[&build].was_active) {
            self.raise_floors(build);
        }
        if moved {
            Change::Visible
        } else {
            Change::Nothing
        }
    }

    fn raise_floors(&mut self, build: u32) {
        let build = self.builds.entry(build).or_default();
        build.was_active = true;
        self.floors.merge(&build.visible);
    }
}

impl BuildState {
    /// True while projectors keep it up to date.
    pub fn is_fed(&self) -> bool {
        self.announced.is_some() && self.retired.is_none()
    }

    pub fn lowest_held(&self, lane: Lane) -> Option<Seq> {
        self.lanes
            .get(&lane)?
            .held
            .iter()
            .map(|held| held.seq)
            .min()
    }

    /// True when every lane was spoken of just now and had reached its head then.
    pub fn is_caught_up(&self, now: DateTime<Utc>) -> bool {
        Lane::all().all(|lane| {
            self.lanes
                .get(&lane)
                .is_some_and(|state| now - state.at <= FRESH && state.seq >= state.head)
        })
    }

    /// True when it holds no subject that the other does not hold as well.
    pub fn holds_no_more_than(&self, other: &Self) -> bool {
        self.lanes.iter().all(|(lane, state)| {
            state.held.iter().all(|held| {
                other.lanes.get(lane).is_some_and(|theirs| {
                    theirs
                        .held
                        .iter()
                        .any(|other| other.subject == held.subject)
                })
            })
        })
    }

    fn see(&mut self, watermark: &Watermark, received: Option<Duration>) -> bool {
        let mut moved = false;
        for mark in &watermark.lanes {
            let state = self.lanes.entry(mark.lane).or_default();
            moved |= state.see(mark, watermark);
            state.received = received;
            moved |= self.visible.raise(mark.lane, mark.seq);
        }
        moved
    }
}

impl LaneState {
    /// True when this process has read a record of the lane just now, by its own time.
    pub fn is_heard(&self, now: Duration) -> bool {
        let age = self.received.map(|received| now.saturating_sub(received));
        age.is_some_and(|age| age <= HEARD)
    }

    /// True when the held subjects changed.
    fn see(&mut self, mark: &LaneMark, watermark: &Watermark) -> bool {
        self.seq = mark.seq;
        self.head = mark.head;
        self.at = watermark.at;
        self.covered_recorded_at = watermark.covered_recorded_at.or(self.covered_recorded_at);
        if mark.seq < self.held_as_of {
            return false;
        }
        self.held_as_of = mark.seq;
        let held = watermark.held.get(&mark.lane).cloned().unwrap_or_default();
        let changed = held != self.held;
        self.held = held;
        changed
    }
}
