//! The last that the watermark topic tells of one lane of a build, and how old that is.
//!
//! No age is the difference of two machines' clocks: a record is as old as this process has known
//! it, by its own time; a head was as old in its record as the publisher's clock alone says.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lane::Seq;
use crate::watermark::{Held, LaneMark, Watermark};

/// What a process read longer ago, by its own time, says nothing of the present: its publisher is
/// gone.
pub const HEARD: Duration = Duration::from_secs(3);

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

impl LaneState {
    /// True when this process has read a record of the lane just now, by its own time.
    pub fn is_heard(&self, now: Duration) -> bool {
        self.age(now).is_some_and(|age| age <= HEARD)
    }

    pub(super) fn is_at_head(&self, now: Duration) -> bool {
        let is_known = self.head_age(now).is_some_and(|age| age <= HEARD);
        is_known && self.head.is_some_and(|head| self.seq >= head)
    }

    /// How long ago this process read the last record, by its own time; none where it may be older.
    fn age(&self, now: Duration) -> Option<Duration> {
        let received = self.received?;
        Some(now.saturating_sub(received))
    }

    /// The age of the head: how old it was in the record, by the clock of the publisher alone, and
    /// the age of the record.
    fn head_age(&self, now: Duration) -> Option<Duration> {
        let in_record = (self.at - self.heads_at?).to_std().ok()?;
        Some(in_record + self.age(now)?)
    }

    /// True when the held subjects changed.
    pub(super) fn see(
        &mut self,
        mark: &LaneMark,
        watermark: &Watermark,
        received: Option<Duration>,
    ) -> bool {
        self.seq = mark.seq;
        self.head = mark.head;
        self.heads_at = watermark.heads_at;
        self.at = watermark.at;
        self.received = received;
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
