//! One lane of a build: its phase, how far it is, and what of it waits.

use std::sync::Arc;

use chassis::clock;
use chrono::{DateTime, Utc};
use schemas::lane::{Lane, Seq};
use tokio::time::Instant;
use uuid::Uuid;

use crate::board::{self, Changed, Covered, OfLane};
use crate::config::{MAX_SILENCE, MAX_WAITING_BYTES, MAX_WAITING_ENTRIES};
use crate::ending::Ending;
use crate::fill::{Extent, Filled};
use crate::project::{Content, LogEntry, Recent, Stopped};

/// A lane of a build.
#[derive(Debug)]
pub(super) struct LaneFeed {
    /// The number of the assignment under which the lane is ours.
    pub(super) assignment: u64,
    pub(super) phase: Phase,
    pub(super) waiting: Vec<LogEntry>,
    /// How far the page reaches that is among what waits.
    pub(super) extent: Option<Extent>,
    /// Highest seq that is known to exist.
    pub(super) seen: Seq,
    published: Option<Seq>,
    recent: Recent,
    arrived_at: Option<Instant>,
    ahead_since: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Its checkpoint is being read.
    Loading,
    /// It is filled beside the live log.
    Filling,
    Following(Progress),
}

/// How far a lane is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// All up to here is acknowledged.
    pub(super) applied: Seq,
    /// The event there.
    event_id: Option<Uuid>,
    pub(super) recorded_at: Option<DateTime<Utc>>,
    pub(super) visible: Option<Seq>,
    covered_recorded_at: Option<DateTime<Utc>>,
    pub(super) stopped: Option<Stopped>,
    /// The table has to be asked for what comes next.
    pub(super) wants: bool,
    /// Subjects changed that no refresh covers yet.
    pub(super) changed: Changed,
}

impl LaneFeed {
    pub(super) fn new(assignment: u64) -> Self {
        Self {
            assignment,
            phase: Phase::Loading,
            waiting: Vec::new(),
            extent: None,
            seen: 0,
            published: None,
            recent: Recent::default(),
            arrived_at: None,
            ahead_since: None,
        }
    }

    pub(super) fn progress(&self) -> Option<&Progress> {
        match &self.phase {
            Phase::Following(progress) => Some(progress),
            Phase::Loading | Phase::Filling => None,
        }
    }

    /// Where it follows the live log and does not stand still.
    pub(super) fn follows(&mut self) -> Option<&mut Progress> {
        match &mut self.phase {
            Phase::Following(progress) if progress.stopped.is_none() => Some(progress),
            _ => None,
        }
    }

    /// Notes the event of a checkpoint: another one in its place is another history.
    pub(super) fn remember(&mut self, lane: Lane, seq: Seq, event_id: Uuid) -> Result<(), Ending> {
        self.seen = self.seen.max(seq);
        if self.recent.agrees(seq, event_id) {
            return Ok(());
        }
        Err(Ending::another_event(lane, seq))
    }

    /// Takes in a record of the events topic.
    pub(super) fn arrive(&mut self, entry: LogEntry) -> Result<(), Ending> {
        let (lane, seq) = (entry.position.lane, entry.seq());
        self.remember(lane, seq, entry.event_id)?;
        self.arrived_at = Some(clock::instant());
        self.published = self.published.max(Some(seq));
        if self.follows().is_some() {
            self.waiting.push(entry);
        }
        Ok(())
    }

    pub(super) fn take_page(
        &mut self,
        entries: Vec<LogEntry>,
        extent: Extent,
    ) -> Result<(), Ending> {
        for entry in entries {
            self.remember(entry.position.lane, entry.seq(), entry.event_id)?;
            self.waiting.push(entry);
        }
        self.extent = Some(extent);
        Ok(())
    }

    /// What waits, by seq, each once; where both are there, the table's word counts.
    pub(super) fn sorted(&mut self) -> Arc<Vec<LogEntry>> {
        let mut entries = std::mem::take(&mut self.waiting);
        entries.sort_by_key(|entry| (entry.seq(), entry.is_asking()));
        entries.dedup_by_key(|entry| entry.seq());
        Arc::new(entries)
    }

    /// Keeps what is beyond a gap.
    pub(super) fn keep(&mut self, beyond: &[LogEntry]) {
        let mut bytes = 0;
        let bounded = beyond.iter().take(MAX_WAITING_ENTRIES).take_while(|entry| {
            bytes += entry.bytes;
            bytes <= MAX_WAITING_BYTES
        });
        self.waiting.extend(bounded.cloned());
    }

    /// Wants the table where the head is ahead while nothing arrives.
    pub(super) fn watch_head(&mut self, head: Seq) {
        let is_quiet = self.is_quiet();
        let Some(progress) = self.follows() else {
            return;
        };
        let is_ahead = progress.applied < head;
        progress.wants |= is_ahead && is_quiet;
        self.ahead_since = match self.ahead_since {
            _ if !is_ahead => None,
            None => Some(clock::instant()),
            since => since,
        };
    }

    fn is_quiet(&self) -> bool {
        let long_ago = |at: Instant| at.elapsed() >= MAX_SILENCE;
        self.arrived_at.is_none_or(long_ago) && self.ahead_since.is_some_and(long_ago)
    }

    /// How it stands, for the board.
    pub(super) fn standing(&self) -> OfLane {
        let of_lane = OfLane {
            assignment: self.assignment,
            published: self.published,
            changed: Changed::nothing(),
            ..OfLane::default()
        };
        match &self.phase {
            Phase::Loading => OfLane {
                changed: Changed::All,
                ..of_lane
            },
            Phase::Filling => OfLane {
                phase: board::Phase::Filling,
                changed: Changed::All,
                ..of_lane
            },
            Phase::Following(progress) => OfLane {
                phase: if progress.wants {
                    board::Phase::CatchingUp
                } else {
                    board::Phase::Following
                },
                applied: progress.applied,
                event_id: progress.event_id,
                visible: progress.visible,
                covered_recorded_at: progress.covered_recorded_at,
                stopped: progress.stopped.clone(),
                ..of_lane
            },
        }
    }
}

impl Progress {
    /// From a checkpoint on; what is visible only a refresh will say.
    pub(super) fn from_checkpoint(seq: Seq, event_id: Uuid) -> Self {
        Self {
            applied: seq,
            event_id: Some(event_id),
            wants: true,
            ..Self::default()
        }
    }

    /// From where a fill has come to; what is visible only a refresh will say.
    pub(super) fn from_fill(filled: Filled) -> Self {
        Self {
            applied: filled.applied,
            event_id: filled.event_id,
            recorded_at: filled.recorded_at,
            wants: filled.stopped.is_none(),
            stopped: filled.stopped,
            changed: Changed::All,
            ..Self::default()
        }
    }

    /// Notes what a batch folds, and whether the table has to be asked for more.
    pub(super) fn plan(&mut self, entries: usize, gap: bool, extent: Option<Extent>) {
        let planned = self.applied + entries as Seq;
        let at_end = extent.is_some_and(|extent| extent.exhausted && planned >= extent.last);
        self.wants = gap || (self.wants && !at_end);
    }

    /// All up to this entry is acknowledged.
    pub(super) fn move_to(&mut self, entry: &LogEntry) {
        if entry.seq() <= self.applied {
            return;
        }
        self.applied = entry.seq();
        self.event_id = Some(entry.event_id);
        if let Content::Event(envelope) = &entry.content {
            self.recorded_at = Some(envelope.recorded_at);
        }
    }

    /// What a refresh that is sent now will show.
    pub(super) fn cover(&mut self, assignment: u64) -> Covered {
        Covered {
            assignment,
            seq: self.applied,
            recorded_at: self.recorded_at,
            changed: std::mem::replace(&mut self.changed, Changed::nothing()),
        }
    }

    /// All up to here is visible. A lane that began anew may not have come so far again.
    pub(super) fn show(&mut self, seq: Seq, recorded_at: Option<DateTime<Utc>>) {
        if self.applied >= seq && self.visible < Some(seq) {
            self.visible = Some(seq);
            self.covered_recorded_at = recorded_at;
        }
    }
}
