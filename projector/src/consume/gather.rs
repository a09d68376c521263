//! What has arrived from Kafka and waits for the next cycle, bounded by count and bytes.
//!
//! The consumer fills it and pauses its partitions when it is full; the cycle empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::config::{MAX_GATHERED_BYTES, MAX_GATHERED_RECORDS};
use crate::project::LogEntry;

/// A record of the events topic, and where it stood.
#[derive(Debug)]
pub struct Arrival {
    pub partition: i32,
    pub offset: i64,
    /// The assignment under which it came.
    pub assignment: u64,
    pub entry: LogEntry,
}

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Gather {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    arrivals: VecDeque<Arrival>,
    bytes: usize,
}

impl Gather {
    pub fn push(&self, arrival: Arrival) {
        let mut waiting = self.lock();
        waiting.bytes += arrival.entry.bytes;
        waiting.arrivals.push_back(arrival);
        drop(waiting);
        self.shared.arrived.notify_one();
    }

    /// Takes what waits, up to these bounds, oldest first.
    pub fn take(&self, max_records: usize, max_bytes: usize) -> Vec<Arrival> {
        let mut waiting = self.lock();
        let mut bytes = 0;
        let mut count = 0;
        for arrival in waiting.arrivals.iter().take(max_records) {
            if count > 0 && bytes + arrival.entry.bytes > max_bytes {
                break;
            }
            bytes += arrival.entry.bytes;
            count += 1;
        }
        waiting.bytes -= bytes;
        let taken = waiting.arrivals.drain(..count).collect();
        drop(waiting);
        self.shared.taken.notify_one();
        taken
    }

    pub fn len(&self) -> usize {
        self.lock().arrivals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when the partitions should be paused.
    pub fn is_full(&self) -> bool {
        let waiting = self.lock();
        waiting.arrivals.len() >= MAX_GATHERED_RECORDS || waiting.bytes >= MAX_GATHERED_BYTES
    }

    /// True when paused partitions may go on.
    pub fn has_room(&self) -> bool {
        let waiting = self.lock();
        waiting.arrivals.len() < MAX_GATHERED_RECORDS / 2 && waiting.bytes < MAX_GATHERED_BYTES / 2
    }

    /// Returns when something waits. May be dropped and called again.
    pub async fn arrived(&self) {
        while self.is_empty() {
            self.shared.arrived.notified().await;
        }
    }

    /// Returns when something was taken.
    pub async fn taken(&self) {
        self.shared.taken.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared
            .waiting
            .lock()
            .expect("no holder of this lock panics")
    }
}
