//! What the watermark topic says so far: builds, which one is active, and how far each is visible.
//!
//! A pure fold of the topic's records, the same in query-svc and projector. Two rules keep readers
//! from ever going back: a switch takes effect at one offset for everybody, and the floors of a
//! view remember the highest watermark that any then-active build had.

use std::collections::BTreeMap;

use super::{Key, Record};
use crate::id::Epoch;
use crate::lane::{Lane, Seq};

mod view;

pub use view::{BuildState, FRESH, LaneState, ViewState};

/// The state of all views after some prefix of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WatermarkState {
    epoch: Epoch,
    views: BTreeMap<String, ViewState>,
    /// One more than the offset of the last record that changed something.
    changed: u64,
    offset: u64,
    /// False until the end of the topic was reached for the first time.
    complete: bool,
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
        let complete = self.is_complete();
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

    /// `G`: a replica at the same or a higher one is at least as new, for every view. It speaks for
    /// this state only while that is complete.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// True once the whole topic was read, and not while old records are caught up with after a
    /// long pause: compaction may have thinned them out, so `G` does not cover yet what they show.
    pub fn is_complete(&self) -> bool {
        self.complete && self.offset == self.changed
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
    /// then a token at this `G` need not carry it. A log without views proves nothing.
    pub fn everywhere_visible(&self, lane: Lane, seq: Seq) -> bool {
        let mut announced = self
            .views
            .values()
            .filter(|view| view.is_announced())
            .peekable();
        let has_views = announced.peek().is_some();
        self.is_complete() && has_views && announced.all(|view| view.shows(lane, seq))
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

#[cfg(test)]
mod tests;
