//! One view as the watermark topic tells it: its builds, their lanes, and the floors.
//!
//! Watermarks only rise, whichever owner published them; the floors are what keeps readers from going back
//! when another build takes over.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::Change;
use super::lane::LaneState;
use crate::lane::{Lane, LaneSeqs, Seq};
use crate::watermark::{Announced, Retired, Switch, Watermark, Wish};

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
    /// When this process read a record of it last, by its own time.
    pub read_at: Duration,
}

/// How a watermark record was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// By the time of this process.
    pub(super) at: Duration,
    /// False before the first end of the topic, and behind a hole: the record may be old.
    pub(super) is_new: bool,
    pub(super) is_complete: bool,
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
    pub(super) fn announce(
        &mut self,
        number: u32,
        announced: Announced,
        read_at: Duration,
    ) -> Change {
        let build = self.builds.entry(number).or_default();
        let earlier = build.announced.as_ref();
        if earlier.is_some_and(|earlier| earlier.index_uuid != announced.index_uuid) {
            return Change::Nothing;
        }
        self.fulfilled.extend(announced.wish);
        build.announced = Some(announced);
        build.read_at = read_at;
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
    pub(super) fn retire(&mut self, number: u32, retired: Retired, read_at: Duration) -> Change {
        if self.active == Some(number) && !retired.lost {
            return Change::Nothing;
        }
        let build = self.builds.entry(number).or_default();
        build.read_at = read_at;
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
        reading: Reading,
    ) -> Change {
        let state = self.builds.entry(build).or_default();
        let moved = state.see(watermark, reading);
        // While old records are read (at the start, or after a long pause), compaction may have
        // taken those from before a switch: what a build that was ever active shows may have been
        // seen through it.
        if self.active == Some(build) || (!reading.is_complete && self.builds[&build].was_active) {
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

    /// For how long this process has read nothing of it. What it read at its start may be older,
    /// and counts from then.
    pub fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.read_at)
    }

    /// True when every lane was spoken of just now, and had reached the head that PostgreSQL gave
    /// just now. A head that is unknown or old proves nothing.
    pub fn is_caught_up(&self, now: Duration) -> bool {
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

    fn see(&mut self, watermark: &Watermark, reading: Reading) -> bool {
        self.read_at = reading.at;
        let received = reading.is_new.then_some(reading.at);
        let mut moved = false;
        for mark in &watermark.lanes {
            let state = self.lanes.entry(mark.lane).or_default();
            moved |= state.see(mark, watermark, received);
            moved |= self.visible.raise(mark.lane, mark.seq);
        }
        moved
    }
}
