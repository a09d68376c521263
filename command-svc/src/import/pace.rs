//! How many products go into one transaction: as many as hold the lanes for less than 20 ms.
//!
//! Pure. Holding is measured, so the pace finds itself on any machine and under any load. The
//! median of a few batches counts: one that met a slow disk says little about size.

use std::time::Duration;

use crate::config::{
    FIRST_BATCH, GROW_BELOW, MAX_BATCH, MEASURED_BATCHES, MIN_BATCH, SHRINK_ABOVE,
};

#[derive(Debug)]
pub struct Pace {
    size: usize,
    held: Vec<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            size: FIRST_BATCH,
            held: Vec::with_capacity(MEASURED_BATCHES),
        }
    }
}

impl Pace {
    /// Products for the next batch.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes into account how long a batch that wrote `written` products held the lanes.
    pub fn learn(&mut self, written: usize, held: Duration) {
        if written * 2 < self.size {
            return;
        }
        self.held.push(held);
        if self.held.len() < MEASURED_BATCHES {
            return;
        }
        self.held.sort();
        let median = self.held[MEASURED_BATCHES / 2];
        self.held.clear();
        let step = self.size / 4;
        if median > SHRINK_ABOVE {
            self.size = (self.size - step).max(MIN_BATCH);
        } else if median < GROW_BELOW {
            self.size = (self.size + step).min(MAX_BATCH);
        }
    }
}

/// How long to rest after a batch, so that others get the lanes, and the machine gets on with what
/// was imported already.
pub fn rest(held: Duration) -> Duration {
    held / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which each product takes so long, and the commit some time more.
    fn settle(per_product: Duration, commit: Duration) -> (usize, Duration) {
        let mut pace = Pace::default();
        let held = |size: usize| commit + per_product * u32::try_from(size).unwrap();
        for _ in 0..100 {
            pace.learn(pace.size(), held(pace.size()));
        }
        (pace.size(), held(pace.size()))
    }

    #[test]
    fn a_fast_machine_gets_large_batches_and_a_slow_one_small_ones() {
        let (fast, _) = settle(Duration::from_micros(10), Duration::from_millis(1));
        let (slow, _) = settle(Duration::from_micros(500), Duration::from_millis(1));
        assert_eq!(fast, MAX_BATCH);
        assert!((MIN_BATCH..FIRST_BATCH).contains(&slow), "{slow}");
    }

    #[test]
    fn a_slow_commit_alone_keeps_nothing_from_growing() {
        let (size, _) = settle(Duration::from_micros(10), Duration::from_millis(10));
        assert!(size > 3 * FIRST_BATCH, "{size}");
    }

    #[test]
    fn lanes_are_held_for_less_than_the_bound() {
        for per_product in [20, 50, 100, 200, 500] {
            let commit = Duration::from_millis(2);
            let (_, held) = settle(Duration::from_micros(per_product), commit);
            assert!(held <= SHRINK_ABOVE, "{per_product} µs a product: {held:?}");
        }
    }

    #[test]
    fn one_batch_that_met_a_slow_disk_changes_nothing() {
        let mut pace = Pace::default();
        for held in [5, 900, 15] {
            pace.learn(FIRST_BATCH, Duration::from_millis(held));
        }
        assert_eq!(pace.size(), FIRST_BATCH);
    }

    #[test]
    fn a_batch_that_wrote_little_says_nothing() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.learn(1, Duration::from_micros(10));
        }
        assert_eq!(pace.size(), FIRST_BATCH);
    }
}
