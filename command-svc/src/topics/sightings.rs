//! When a topic that cannot be seen is lost.
//!
//! A broker that is slow, restarting or unreachable says nothing about its topics. One that answers
//! may still be reading its own metadata. So a topic is lost only when it is missing in three
//! answers, with at least ten seconds from the first to the last, and nothing else seen between.

use std::time::Duration;

use crate::config::{LOST_TOPIC_LOOKS, LOST_TOPIC_TIME};

/// The result of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Present,
    Missing,
    /// The brokers did not answer, or did not say.
    Unknown,
}

/// The looks since the topic was last seen, or not known about.
#[derive(Debug, Default)]
pub struct Sightings {
    first: Option<Duration>,
    missing: u32,
}

impl Sightings {
    /// Counts a look; true where the topic is lost. Times are of one clock that never goes back.
    pub fn see(&mut self, sight: Sight, at: Duration) -> bool {
        if sight != Sight::Missing {
            *self = Self::default();
            return false;
        }
        self.missing += 1;
        let first = *self.first.get_or_insert(at);
        self.missing >= LOST_TOPIC_LOOKS && at.saturating_sub(first) >= LOST_TOPIC_TIME
    }

    /// True while the topic is missing, and not yet known to be lost.
    pub fn is_suspect(&self) -> bool {
        self.missing > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Sight::{Missing, Present, Unknown};
    use super::*;

    /// Whether it is lost after these looks, each at its second.
    fn is_lost(looks: &[(Sight, u64)]) -> bool {
        let mut sightings = Sightings::default();
        let mut lost = looks
            .iter()
            .map(|(sight, second)| sightings.see(*sight, Duration::from_secs(*second)));
        lost.any(|lost| lost)
    }

    #[test]
    fn a_topic_that_is_missing_three_times_over_ten_seconds_is_lost() {
        assert!(is_lost(&[(Missing, 0), (Missing, 5), (Missing, 10)]));
    }

    #[test]
    fn two_looks_are_not_enough_however_far_apart() {
        assert!(!is_lost(&[(Missing, 0), (Missing, 60)]));
    }

    #[test]
    fn ten_seconds_must_have_passed_however_many_looks() {
        let looks: Vec<_> = (0..10).map(|second| (Missing, second)).collect();
        assert!(!is_lost(&looks));
    }

    #[test]
    fn a_broker_that_does_not_answer_or_shows_the_topic_begins_the_count_anew() {
        for between in [Unknown, Present] {
            let looks = [
                (Missing, 0),
                (Missing, 5),
                (between, 8),
                (Missing, 10),
                (Missing, 15),
            ];
            assert!(!is_lost(&looks), "{between:?}");
        }
    }
}
