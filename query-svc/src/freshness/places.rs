//! Room for reads that wait, and the pace at which those by id ask Elasticsearch while they wait.
//!
//! A tidemark under no key of ours costs its sender nothing to make, so reads with foreign ones
//! share a few places and can never fill all. The real-time gets of all waiting reads together keep
//! to one budget, however many wait.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::{MAX_GETS_PER_SECOND, MIN_GET_INTERVAL, WAITING_PER_FOREIGN};

#[derive(Debug)]
pub(super) struct Places {
    all: Semaphore,
    foreign: Semaphore,
    count: usize,
    pollers: AtomicU32,
}

/// Held for as long as a read waits.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _any: SemaphorePermit<'a>,
    _foreign: Option<SemaphorePermit<'a>>,
}

/// One of the reads by id that wait.
#[derive(Debug)]
pub(super) struct Poller<'a>(&'a AtomicU32);

impl Places {
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(count),
            foreign: Semaphore::new((count / WAITING_PER_FOREIGN).max(1)),
            count,
            pollers: AtomicU32::new(0),
        }
    }

    /// A place to wait at; none where all are taken.
    pub(super) fn take(&self, is_foreign: bool) -> Option<Place<'_>> {
        let foreign = if is_foreign {
            Some(self.take_foreign()?)
        } else {
            None
        };
        Some(Place {
            _any: self.all.try_acquire().ok()?,
            _foreign: foreign,
        })
    }

    /// For a read that waits for the lane heads, which a foreign tidemark stands for.
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
    /// How long to wait before the next get, so that all pollers together keep to the budget.
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
    fn foreign_tidemarks_never_take_all_places() {
        let places = Places::new(32);
        let foreign: Vec<_> = std::iter::from_fn(|| places.take(true)).collect();
        assert_eq!(foreign.len(), 2);
        assert!(places.take_foreign().is_none());
        let ours: Vec<_> = std::iter::from_fn(|| places.take(false)).collect();
        assert_eq!((ours.len(), places.taken()), (30, 32));
        drop(foreign);
        assert!(places.take(true).is_some());
    }

    #[test]
    fn a_foreign_tidemark_finds_no_place_where_ours_have_taken_all() {
        let places = Places::new(32);
        let ours: Vec<_> = std::iter::from_fn(|| places.take(false)).collect();
        assert_eq!(ours.len(), 32);
        assert!(places.take(true).is_none());
    }

    #[test]
    fn a_lone_poller_asks_ten_times_a_second_and_all_together_a_hundred_times() {
        let places = Places::new(8_192);
        let lone = places.poller();
        assert_eq!(lone.pace(), MIN_GET_INTERVAL);
        let others: Vec<_> = (1..5_000).map(|_| places.poller()).collect();
        let per_second = 5_000.0 / lone.pace().as_secs_f64();
        assert!(per_second <= 100.0, "{per_second}");
        drop(others);
        assert_eq!(lone.pace(), MIN_GET_INTERVAL);
    }
}
