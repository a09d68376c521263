//! One view as the watermark topic tells it: its builds, their lanes, and the floors.
//!
//! Watermarks only rise, whichever owner published them; the floors are what keeps readers from going back
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
    pub head: Option<Seq>,
    /// When PostgreSQL gave the head, by the clock of its publisher.
    pub heads_at: Option<DateTime<Utc>>,
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
    /// The build that readers are served from. None where the active one is lost.
    pub fn active_build(&self) -> Option<&BuildState> {
        let active = self.builds.get(&self.active?);
        active.filter(|build| !build.is_lost())
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

    /// Void where the number was announced with another index: what was shown of that one is not in
    /// this one.
    pub(super) fn announce(&mut self, number: u32, announced: Announced) -> Change {
        let build = self.builds.entry(number).or_default();
        let earlier = build.announced.as_ref();
        if earlier.is_some_and(|earlier| earlier.index_uuid != announced.index_uuid) {
            return Change::Nothing;
        }
        self.fulfilled.extend(announced.wish);
        build.announced = Some(announced);
        Change::Builds
    }

    /// Void where `from` is not the active build, or nobody feeds `to` any longer. Whether `to` was
    /// announced does not matter: compaction may have left a later announcement of it only.
    pub(super) fn switch(&mut self, switch: &Switch) -> Change {
        let to = self.builds.get(&switch.to);
        let is_retired = to.is_some_and(|to| to.retired.is_some());
        if switch.from != self.active || is_retired {
            return Change::Nothing;
        }
        self.fulfilled.extend(switch.wish);
        self.floors.merge(&switch.floors);
        if let Some(from) = switch.from {
            self.raise_floors(from);
        }
        self.active = Some(switch.to);
        self.raise_floors(switch.to);
        Change::Builds
    }

    /// Void for the active build, unless it is lost. A wish for a build that is lost before it was
    /// read from is open again.
    pub(super) fn retire(&mut self, number: u32, retired: Retired) -> Change {
        if self.active == Some(number) && !retired.lost {
            return Change::Nothing;
        }
        let build = self.builds.entry(number).or_default();
        if let Some(earlier) = &mut build.retired {
            earlier.lost |= retired.lost;
            return Change::Builds;
        }
        let announced = build.announced.as_ref();
        let wish = announced.and_then(|announced| announced.wish);
        if let Some(wish) = wish.filter(|_| retired.lost && !build.was_active) {
            self.fulfilled.retain(|fulfilled| *fulfilled != wish);
        }
        build.retired = Some(retired);
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

    /// True where its index is gone.
    pub fn is_lost(&self) -> bool {
        self.retired.as_ref().is_some_and(|retired| retired.lost)
    }

    pub fn lowest_held(&self, lane: Lane) -> Option<Seq> {
        self.lanes
            .get(&lane)?
            .held
            .iter()
            .map(|held| held.seq)
            .min()
    }

    /// True when every lane was spoken of just now, and had reached the head that PostgreSQL gave
    /// just now. A head that is unknown or old proves nothing.
    pub fn is_caught_up(&self, now: DateTime<Utc>) -> bool {
        Lane::all().all(|lane| {
            let state = self.lanes.get(&lane);
            state.is_some_and(|state| state.is_at_head(now))
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

    fn is_at_head(&self, now: DateTime<Utc>) -> bool {
        let is_fresh = |at: DateTime<Utc>| now - at <= FRESH;
        is_fresh(self.at)
            && self.heads_at.is_some_and(is_fresh)
            && self.head.is_some_and(|head| self.seq >= head)
    }

    /// True when the held subjects changed.
    fn see(&mut self, mark: &LaneMark, watermark: &Watermark) -> bool {
        self.seq = mark.seq;
        self.head = mark.head;
        self.heads_at = watermark.heads_at;
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
