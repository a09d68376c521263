//! How many products go into one transaction: as many as hold the lanes for less than 20 ms.
//!
//! Pure. Holding is measured, so the pace finds itself on any machine and under any load.

use std::time::Duration;

/// Lanes are to be held no longer: commands wait for them.
pub const HELD_AT_MOST: Duration = Duration::from_millis(20);
/// Where the pace settles, so that what varies stays below the bound.
const AIM: Duration = Duration::from_millis(12);
const FIRST: usize = 40;
const FEWEST: usize = 8;
const MOST: usize = 500;

#[derive(Debug)]
pub struct Pace {
    size: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: FIRST }
    }
}

impl Pace {
    /// Products for the next batch.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Learns how long a batch that wrote so many products held the lanes.
    pub fn learn(&mut self, written: usize, held: Duration) {
        if written == 0 {
            return;
        }
        let fitting = written as u128 * AIM.as_micros() / held.as_micros().max(1);
        let fitting = usize::try_from(fitting).unwrap_or(MOST).clamp(FEWEST, MOST);
        if held > HELD_AT_MOST {
            self.size = fitting.min(self.size);
        } else if fitting > self.size && written * 2 >= self.size {
            self.size += ((fitting - self.size) / 4).max(1);
        } else if fitting < self.size {
            self.size -= (self.size - fitting) / 4;
        }
    }
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
        assert_eq!(fast, MOST);
        assert!((FEWEST..FIRST).contains(&slow), "{slow}");
    }

    #[test]
    fn lanes_are_held_for_less_than_the_bound() {
        for per_product in [20, 50, 100, 200, 500] {
            let commit = Duration::from_millis(2);
            let (_, held) = settle(Duration::from_micros(per_product), commit);
            assert!(held <= HELD_AT_MOST, "{per_product} µs a product: {held:?}");
        }
    }

    #[test]
    fn one_slow_commit_shrinks_at_once_and_little_batches_grow_nothing() {
        let mut pace = Pace::default();
        pace.learn(FIRST, Duration::from_millis(80));
        assert_eq!(pace.size(), FEWEST);
        pace.learn(1, Duration::from_micros(10));
        assert_eq!(pace.size(), FEWEST);
    }
}
