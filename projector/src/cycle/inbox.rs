//! What has arrived for one build and waits for its next batch, bounded by count and bytes.
//!
//! An active build that works holds Kafka back when its inbox is full. One that does not take from
//! it for a while holds nobody back: what its inbox has no room for, it reads from the event table.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chassis::clock;
use schemas::lane::{Lane, Seq};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{
    MAX_INBOX_BYTES, MAX_INBOX_HOLD, MAX_INBOX_RECORDS, MIN_BATCH_BYTES_DURING_REFRESH,
};
use crate::consume::Arrival;
use crate::project::LogEntry;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    is_active: AtomicBool,
    arrived: Notify,
    room: Arc<Notify>,
}

#[derive(Debug)]
struct Waiting {
    entries: VecDeque<(u64, LogEntry)>,
    bytes: usize,
    dropped: BTreeSet<(Lane, Seq)>,
    taken_at: Instant,
}

/// What a batch takes.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// With the number of the assignment under which each came.
    pub(super) entries: Vec<(u64, LogEntry)>,
    /// Lanes of which something was dropped, and a seq that they are known to have.
    pub(super) dropped: BTreeSet<(Lane, Seq)>,
}

impl Inbox {
    /// `room` is notified whenever something was taken.
    pub(super) fn new(room: Arc<Notify>) -> Self {
        let waiting = Waiting {
            entries: VecDeque::new(),
            bytes: 0,
            dropped: BTreeSet::new(),
            taken_at: clock::instant(),
        };
        Self {
            shared: Arc::new(Shared {
                waiting: Mutex::new(waiting),
                is_active: AtomicBool::new(false),
                arrived: Notify::new(),
                room,
            }),
        }
    }

    /// Only active builds hold Kafka back.
    pub(super) fn set_active(&self, is_active: bool) {
        self.shared.is_active.store(is_active, Ordering::Relaxed);
    }

    pub(super) fn push<'a>(&self, arrivals: impl Iterator<Item = &'a Arrival>) {
        let mut waiting = self.lock();
        for arrival in arrivals {
            let entry = &arrival.entry;
            if waiting.is_full() {
                waiting
                    .dropped
                    .retain(|(lane, _)| *lane != entry.position.lane);
                waiting.dropped.insert((entry.position.lane, entry.seq()));
                continue;
            }
            waiting.bytes += entry.bytes;
            let entry = (arrival.assignment, entry.clone());
            waiting.entries.push_back(entry);
        }
        drop(waiting);
        self.shared.arrived.notify_one();
    }

    /// Takes what waits, up to these bounds, oldest first.
    pub(super) fn take(&self, max_records: usize, max_bytes: usize) -> Taken {
        let mut waiting = self.lock();
        waiting.taken_at = clock::instant();
        let (mut count, mut bytes) = (0, 0);
        for (_, entry) in waiting.entries.iter().take(max_records) {
            if count > 0 && bytes + entry.bytes > max_bytes {
                break;
            }
            bytes += entry.bytes;
            count += 1;
        }
        waiting.bytes -= bytes;
        let taken = Taken {
            entries: waiting.entries.drain(..count).collect(),
            dropped: std::mem::take(&mut waiting.dropped),
        };
        drop(waiting);
        if count > 0 {
            self.shared.room.notify_one();
        }
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(super) fn is_active(&self) -> bool {
        self.shared.is_active.load(Ordering::Relaxed)
    }

    /// True while whatever else arrives is better left with Kafka.
    pub(super) fn holds_back(&self) -> bool {
        let waiting = self.lock();
        let is_working = waiting.taken_at.elapsed() < MAX_INBOX_HOLD;
        waiting.is_full() && is_working && self.is_active()
    }

    /// True where at least `count` records wait, or enough bytes for a bulk.
    pub(super) fn holds(&self, count: usize) -> bool {
        let waiting = self.lock();
        waiting.entries.len() >= count || waiting.bytes >= MIN_BATCH_BYTES_DURING_REFRESH
    }

    /// Returns when `holds(count)` is true. May be dropped and called again.
    pub(super) async fn filled(&self, count: usize) {
        while !self.holds(count) {
            self.shared.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        let waiting = self.shared.waiting.lock();
        waiting.expect("no holder of this lock panics")
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.entries.len() >= MAX_INBOX_RECORDS || self.bytes >= MAX_INBOX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use schemas::lane::Position;
    use uuid::Uuid;

    use super::*;
    use crate::project::Content;

    fn arrivals(count: Seq) -> Vec<Arrival> {
        let lane = Lane::try_from(3u8).unwrap();
        let arrival = |seq| Arrival {
            partition: 0,
            offset: 0,
            assignment: 1,
            entry: LogEntry {
                position: Position { lane, seq },
                event_id: Uuid::nil(),
                bytes: 1,
                content: Content::AskTable,
            },
        };
        (1..=count).map(arrival).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_build_that_takes_nothing_holds_nobody_back_and_learns_what_it_missed() {
        let inbox = Inbox::new(Arc::default());
        inbox.set_active(true);
        inbox.push(arrivals(MAX_INBOX_RECORDS as Seq + 5).iter());
        assert!(inbox.holds_back());
        tokio::time::advance(MAX_INBOX_HOLD).await;
        assert!(!inbox.holds_back());
        let taken = inbox.take(10, usize::MAX);
        let lane = Lane::try_from(3u8).unwrap();
        assert_eq!(taken.dropped, [(lane, MAX_INBOX_RECORDS as Seq + 5)].into());
        assert_eq!(
            (taken.entries.len(), inbox.len()),
            (10, MAX_INBOX_RECORDS - 10)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_candidate_never_holds_back() {
        let inbox = Inbox::new(Arc::default());
        inbox.push(arrivals(MAX_INBOX_RECORDS as Seq).iter());
        assert!(!inbox.holds_back());
    }
}
