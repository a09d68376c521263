//! What the watermark topic says so far: builds, which one is active, and how far each is visible.
//!
//! A pure fold of the topic's records, the same in query-svc and projector. Two rules keep readers
//! from ever going back: a switch takes effect at one offset for everybody, and the floors of a
//! view remember the highest watermark that any then-active build had.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Key, Record, RecordError};
use crate::id::Epoch;
use crate::lane::{Lane, Seq};

mod lane;
mod view;

pub use lane::{HEARD, LaneState};
pub use view::{BuildState, ViewState};

use view::Reading;

/// The state of all views after some prefix of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WatermarkState {
    epoch: Epoch,
    views: BTreeMap<String, ViewState>,
    /// One more than the offset of the last record that changed something.
    changed: u64,
    /// One more than the offset of the last record.
    applied: u64,
    offset: u64,
    read: u64,
    /// True from an end of the topic until the next hole in the offsets. Before the first end, and
    /// behind a hole, compaction may have taken records away, so what is applied is not a prefix.
    dense: bool,
    /// Keys whose newest record cannot be read.
    unreadable: BTreeSet<Vec<u8>>,
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
            applied: 0,
            offset: 0,
            read: 0,
            dense: false,
            unreadable: BTreeSet::new(),
        }
    }

    /// Takes in what stands at this offset. Offsets rise. An unknown kind is a newer Tidemark's and
    /// changes nothing. A record of a known kind that cannot be read stops `G`, until a readable one
    /// follows under its key or the key is removed.
    ///
    /// `received` is the time at which this process read the record, since a moment of its own: no
    /// clock of another machine decides what is old.
    pub fn read(
        &mut self,
        offset: u64,
        key: &[u8],
        value: Option<&[u8]>,
        received: Duration,
    ) -> Result<Change, RecordError> {
        let record = Record::parse(key, value);
        if record.is_err() && value.is_some() && Key::is_of_known_kind(key) {
            self.unreadable.insert(key.to_vec());
        } else {
            self.unreadable.remove(key);
        }
        match record {
            Ok(record) => Ok(self.apply(offset, record, received)),
            Err(error) => {
                self.advance(offset);
                self.settle();
                Err(error)
            }
        }
    }

    /// The same for a record that is read already.
    pub fn apply(&mut self, offset: u64, record: Record, received: Duration) -> Change {
        self.advance(offset);
        let change = self.fold(record, received);
        if !matches!(change, Change::Nothing | Change::Foreign) {
            self.changed = offset + 1;
        }
        self.settle();
        change
    }

    /// The end of the partition: every older record is known to be in.
    pub fn reach_end(&mut self) {
        self.dense = true;
        self.settle();
    }

    fn fold(&mut self, record: Record, received: Duration) -> Change {
        if record.epoch().is_some_and(|epoch| epoch != self.epoch) {
            return Change::Foreign;
        }
        let reading = Reading {
            at: received,
            is_new: self.dense,
            is_complete: self.is_complete(),
        };
        match record {
            Record::Removed(key) => self.remove(&key),
            Record::Watermark {
                view,
                build,
                watermark,
                ..
            } => {
                let view = self.view_mut(view);
                view.see_watermark(build, &watermark, reading)
            }
            Record::Announced {
                view,
                build,
                announced,
            } => self.view_mut(view).announce(build, announced, received),
            Record::Switch { view, switch, .. } => self.view_mut(view).switch(&switch),
            Record::Retired {
                view,
                build,
                retired,
            } => self.view_mut(view).retire(build, retired, received),
            Record::Wish { view, id, wish } => {
                self.view_mut(view).wishes.insert(id, wish);
                Change::Builds
            }
        }
    }

    fn advance(&mut self, offset: u64) {
        self.dense &= offset == self.applied;
        self.applied = offset + 1;
    }

    /// `G` moves through offsets without a hole, otherwise only at the end of the partition.
    fn settle(&mut self) {
        if self.dense && self.unreadable.is_empty() {
            self.offset = self.changed;
            self.read = self.applied;
        }
    }

    /// `G` as it is issued: a replica that has read that far is at least as new, for every view.
    /// It speaks for this state only while that is complete.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How far the topic was read, heartbeats included: what the `G` of a tidemark is compared
    /// with. What changes something differs between replicas once the topic is compacted, since a
    /// late one finds a heartbeat where an earlier one saw the change; what was read does not.
    pub fn offset_read(&self) -> u64 {
        self.read
    }

    /// True once the whole topic was read, and not behind a hole in its offsets or a record that
    /// cannot be read: `G` does not cover yet what the records since then show.
    pub fn is_complete(&self) -> bool {
        self.dense && self.unreadable.is_empty()
    }

    /// Keys whose newest record cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &[u8]> {
        self.unreadable.iter().map(Vec::as_slice)
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

    /// True when every view that has an active build or a candidate shows this position, and no
    /// subject at or below it is held: then a token at this `G` need not carry it. A view whose
    /// builds are all retired shows nothing to anybody; when it comes back, the floors of its first
    /// switch are those of the other views. A log without views proves nothing.
    pub fn everywhere_visible(&self, lane: Lane, seq: Seq) -> bool {
        let mut announced = self
            .views
            .values()
            .filter(|view| view.is_alive())
            .peekable();
        let has_views = announced.peek().is_some();
        self.is_complete() && has_views && announced.all(|view| view.shows(lane, seq))
    }

    fn view_mut(&mut self, name: String) -> &mut ViewState {
        self.views.entry(name).or_default()
    }

    /// Build records are never removed; tools take back wishes, projectors the watermarks of builds
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
