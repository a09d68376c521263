//! What a process knows of one lane of a build.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use schemas::lane::Seq;
use schemas::watermark::MAX_CHANGED;
use uuid::Uuid;

use crate::project::Stopped;

/// A lane of a build that this process owns.
#[derive(Debug, Clone, Default)]
pub struct OfLane {
    /// The number of the assignment under which this process owns the lane.
    pub assignment: u64,
    pub phase: Phase,
    /// All events up to here are acknowledged.
    pub applied: Seq,
    pub event_id: Option<Uuid>,
    /// All events up to here are visible, by a refresh of this process. None before the first.
    pub visible: Option<Seq>,
    pub covered_recorded_at: Option<DateTime<Utc>>,
    /// When it was applied further last, and when shown further. For a new lane, when it was taken.
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
    /// It is filled in the background.
    Filling,
    /// It is filled from the table, in order.
    CatchingUp,
    Following,
}

/// What a refresh makes visible of a lane.
#[derive(Debug, Clone)]
pub struct Covered {
    pub assignment: u64,
    pub seq: Seq,
    pub recorded_at: Option<DateTime<Utc>>,
    pub changed: Changed,
}

/// How far a lane is visible, and whether a document changed since the last watermark record.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    pub visible: Option<Seq>,
    pub has_changed: bool,
}

/// Hashes of the changed subjects, or all if there are too many to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    All,
    These(BTreeSet<u32>),
}

impl Default for Changed {
    /// What changed before is not known.
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
    /// Keeps what was recorded of the lane before, where it still holds.
    pub(super) fn follow(&mut self, before: Self) {
        let is_same = before.assignment == self.assignment;
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
