//! What the watermark topic says so far: builds, which one is active, and how far each is visible.
//!
//! A pure fold of the topic's records, the same in query-svc and projector. Two rules keep readers
//! from ever going back: a switch takes effect at one offset for everybody, and the floors of a
//! view remember the highest watermark that any then-active build had.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Announced, Held, Key, LaneMark, Record, Retired, Switch, Watermark, Wish};
use crate::id::Epoch;
use crate::lane::{Lane, LaneSeqs, Seq};

/// A watermark record older than this says nothing of the present: its owner is gone.
pub const FRESH: TimeDelta = TimeDelta::seconds(3);

/// The state of all views after some prefix of the topic.
#[derive(Debug, Clone)]
pub struct WatermarkState {
    epoch: Epoch,
    views: BTreeMap<String, ViewState>,
    /// One more than the offset of the last record that changed something.
    changed: u64,
    offset: u64,
    /// False until the end of the topic was reached for the first time.
    complete: bool,
}

/// One view: its builds and the floors under its readers.
#[derive(Debug, Clone, Default)]
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
#[derive(Debug, Clone, Default)]
pub struct BuildState {
    pub announced: Option<Announced>,
    pub retired: Option<Retired>,
    pub was_active: bool,
    pub visible: LaneSeqs,
    pub lanes: BTreeMap<Lane, LaneState>,
}

/// The last that was said of one lane of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneState {
    /// Watermark and head as the last record had them; the watermark may be below `visible`.
    pub seq: Seq,
    pub head: Seq,
    pub at: DateTime<Utc>,
    pub covered_recorded_at: Option<DateTime<Utc>>,
    /// Of the record with the highest seq, the later one where equal.
    pub held: Vec<Held>,
    held_as_of: Seq,
}

/// What a record did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A heartbeat, or a repetition.
    Nothing,
    /// Lanes of a build became visible further.
    Visible,
    /// Builds, switches, wishes.
    Builds,
    /// Of another history: dropped.
    Foreign,
}

impl WatermarkState {
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            views: BTreeMap::new(),
            changed: 0,
            offset: 0,
            complete: false,
        }
    }

    /// Takes in the record at this offset. Offsets rise.
    pub fn apply(&mut self, offset: u64, record: Record) -> Change {
        if record.epoch().is_some_and(|epoch| epoch != self.epoch) {
            return Change::Foreign;
        }
        let complete = self.complete;
        let change = match record {
            Record::Removed(key) => self.remove(&key),
            Record::Watermark {
                view,
                build,
                watermark,
                ..
            } => self
                .view_mut(view)
                .see_watermark(build, &watermark, complete),
            Record::Announced {
                view,
                build,
                announced,
            } => self.view_mut(view).announce(build, announced),
            Record::Switch { view, switch, .. } => self.view_mut(view).switch(&switch),
            Record::Retired {
                view,
                build,
                retired,
            } => {
                self.view_mut(view).builds.entry(build).or_default().retired = Some(retired);
                Change::Builds
            }
            Record::Wish { view, id, wish } => {
                self.view_mut(view).wishes.insert(id, wish);
                Change::Builds
            }
        };
        if change != Change::Nothing {
            self.changed = offset + 1;
        }
        change
    }

    /// Lets `G` move to what was applied. Called at the end of the partition, and after records
    /// younger than the compaction lag once the end was reached: only then is every older record
    /// known to be in.
    pub fn settle(&mut self, at_end: bool) {
        self.complete |= at_end;
        if self.complete {
            self.offset = self.changed;
        }
    }

    /// `G`: a replica at the same or a higher one is at least as new, for every view.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// True once the whole topic was read.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn views(&self) -> impl Iterator<Item = (&str, &ViewState)> {
        self.views.iter().map(|(name, view)| (name.as_str(), view))
    }

    pub fn view(&self, name: &str) -> Option<&ViewState> {
        self.views.get(name)
    }

    /// True when every announced view shows this position, and no subject at or below it is held:
    /// then a token need not carry it.
    pub fn everywhere_visible(&self, lane: Lane, seq: Seq) -> bool {
        self.views
            .values()
            .filter(|view| view.is_announced())
            .all(|view| {
                view.serving().is_some_and(|build| {
                    build.visible.get(lane) >= seq.max(view.floors.get(lane))
                        && build.lowest_held(lane).is_none_or(|held| seq < held)
                })
            })
    }

    fn view_mut(&mut self, name: String) -> &mut ViewState {
        self.views.entry(name).or_default()
    }

    /// Build records stay for ever; tools take back wishes, projectors the watermarks of builds
    /// that are gone, which says nothing new.
    fn remove(&mut self, key: &Key) -> Change {
        let Key::Wish { view, wish } = key else {
            return Change::Nothing;
        };
        if let Some(view) = self.views.get_mut(view) {
            view.wishes.remove(wish);
        }
        Change::Builds
    }
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

    fn is_announced(&self) -> bool {
        self.builds.values().any(|build| build.announced.is_some())
    }

    fn announce(&mut self, build: u32, announced: Announced) -> Change {
        self.fulfilled.extend(announced.wish);
        self.builds.entry(build).or_default().announced = Some(announced);
        Change::Builds
    }

    /// Void where `from` is not the active build.
    fn switch(&mut self, switch: &Switch) -> Change {
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

    fn see_watermark(&mut self, build: u32, watermark: &Watermark, complete: bool) -> Change {
        let state = self.builds.entry(build).or_default();
        let moved = state.see(watermark);
        // While the topic is read for the first time, compaction may have taken the records that
        // came before a switch: what a build that was ever active shows may have been seen.
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

    fn see(&mut self, watermark: &Watermark) -> bool {
        let mut moved = false;
        for mark in &watermark.lanes {
            let state = self.lanes.entry(mark.lane).or_default();
            moved |= state.see(mark, watermark);
            moved |= self.visible.raise(mark.lane, mark.seq);
        }
        moved
    }
}

impl LaneState {
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

#[cfg(test)]
mod tests;
