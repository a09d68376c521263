//! Limits on waiting reads: their number, and the rate of their real-time gets.
//!
//! Anybody can make a foreign tidemark, so reads that carry one share a few slots and can never
//! take all. The real-time gets of all waiting reads share one rate, however many reads wait.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::{MAX_GETS_PER_SECOND, MIN_GET_INTERVAL, WAITING_PER_FOREIGN};

#[derive(Debug)]
pub(super) struct WaitSlots {
    all: Semaphore,
    foreign: Semaphore,
    count: usize,
    pollers: AtomicU32,
}

/// Held for as long as a read waits.
#[derive(Debug)]
pub(super) struct WaitSlot<'a> {
    _any: SemaphorePermit<'a>,
    _foreign: Option<SemaphorePermit<'a>>,
}

/// A read by id that waits, and repeats its real-time get.
#[derive(Debug)]
pub(super) struct Poller<'a>(&'a AtomicU32);

impl WaitSlots {
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(count),
            foreign: Semaphore::new((count / WAITING_PER_FOREIGN).max(1)),
            count,
            pollers: AtomicU32::new(0),
        }
    }

    /// A slot to wait in; none where all are taken.
    pub(super) fn take(&self, is_foreign: bool) -> Option<WaitSlot<'_>> {
        let foreign = if is_foreign {
            Some(self.take_foreign()?)
        } else {
            None
        };
        Some(WaitSlot {
            _any: self.all.try_acquire().ok()?,
            _foreign: foreign,
        })
    }

    /// For a read with a foreign tidemark, while it reads the lane heads.
    pub(super) fn take_foreign(&self) -> Option<SemaphorePermit<'_>> {
        self.foreign.try_acquire().ok()
    }

    pub(super) fn taken(&self) -> usize {
        self.count - self.all.available_permits()
    }

    pub(super) fn poller(&self) -> Poller<'_> {
        self.pollers.fetch_add(1, Ordering::Relaxed);
        Poller(&self.pollers)
    }
}

impl Poller<'_> {
    /// How long to wait before the next get, so that all pollers together keep to the rate.
    pub(super) fn pace(&self) -> Duration {
        let pollers = self.0.load(Ordering::Relaxed);
        (Duration::from_secs(1) * pollers / MAX_GETS_PER_SECOND).max(MIN_GET_INTERVAL)
    }
}

impl Drop for Poller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_tidemarks_never_take_all_slots() {
        let wait_slots = WaitSlots::new(32);
        let foreign: Vec<_> = std::iter::from_fn(|| wait_slots.take(true)).collect();
        assert_eq!(foreign.len(), 2);
        assert!(wait_slots.take_foreign().is_none());
        let ours: Vec<_> = std::iter::from_fn(|| wait_slots.take(false)).collect();
        assert_eq!((ours.len(), wait_slots.taken()), (30, 32));
        drop(foreign);
        assert!(wait_slots.take(true).is_some());
    }

    #[test]
    fn a_foreign_tidemark_gets_no_slot_when_all_are_taken() {
        let wait_slots = WaitSlots::new(32);
        let ours: Vec<_> = std::iter::from_fn(|| wait_slots.take(false)).collect();
        assert_eq!(ours.len(), 32);
        assert!(wait_slots.take(true).is_none());
    }

    #[test]
    fn one_poller_gets_ten_times_a_second_and_all_together_a_hundred_times() {
        let wait_slots = WaitSlots::new(8_192);
        let single = wait_slots.poller();
        assert_eq!(single.pace(), MIN_GET_INTERVAL);
        let others: Vec<_> = (1..5_000).map(|_| wait_slots.poller()).collect();
        let per_second = 5_000.0 / single.pace().as_secs_f64();
        assert!(per_second <= 100.0, "{per_second}");
        drop(others);
        assert_eq!(single.pace(), MIN_GET_INTERVAL);
    }
}
