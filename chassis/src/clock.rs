//! The one licensed reader of the clock, and maker of random ids.
//!
//! Everything else takes times and ids as arguments, so that it can be tested and replayed.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use tokio::time::Instant;
use uuid::Uuid;

/// The time, in microseconds: what PostgreSQL keeps, so a time reads back as it was written.
#[expect(clippy::disallowed_methods, reason = "the one licensed place")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A new id (UUID version 7): near its siblings in an index, and never an order.
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// A moment on the monotonic clock, for measuring; tests may pause it.
pub fn instant() -> Instant {
    Instant::now()
}

/// The moment by which something has to be answered. Handed down, so that waits never add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn within(budget: Duration) -> Self {
        Self(Instant::now() + budget)
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// For `tokio::time::timeout_at` and `sleep_until`.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// This deadline, or the budget from now, whichever ends first.
    #[must_use]
    pub fn at_most(self, budget: Duration) -> Self {
        self.min(Self::within(budget))
    }

    /// Runs a future, or gives up when the deadline passes.
    pub async fn run<F: Future>(self, future: F) -> Result<F::Output, DeadlinePassed> {
        tokio::time::timeout_at(self.0, future)
            .await
            .map_err(|_| DeadlinePassed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed")]
pub struct DeadlinePassed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_microseconds_and_no_more() {
        assert_eq!(now().timestamp_subsec_nanos() % 1_000, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_what_takes_longer() {
        let deadline = Deadline::within(Duration::from_millis(5));
        assert_eq!(
            deadline.run(std::future::pending::<()>()).await,
            Err(DeadlinePassed)
        );
        assert!(deadline.has_passed());
    }
}
