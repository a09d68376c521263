//! Trying again: budgets for requests, which end, and back-off for loops, which never give up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::clock::Deadline;

/// Tries within a request: short, jittered pauses, and a cap on all of them together.
///
/// `(|| attempt()).retry(retry::within(deadline)).when(is_transient)` with `backon::Retryable`.
pub fn within(deadline: Deadline) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(250))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(deadline.remaining()))
}

/// Pauses of a loop that must go on: they grow to a bound, are jittered, and start over after a
/// success.
#[derive(Debug)]
pub struct Backoff {
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(min)
            .with_max_delay(max)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        Self {
            builder,
            delays: builder.build(),
            max,
        }
    }

    /// How long to pause before the next try; never longer than the bound.
    pub fn next_delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.max).min(self.max)
    }

    /// Pauses before the next try.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }

    /// To be called after a success.
    pub fn reset(&mut self) {
        self.delays = self.builder.build();
    }
}

impl Default for Backoff {
    /// 50 ms to 5 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_start_over() {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(200));
        let mut backoff = Backoff::new(min, max);
        let delays: Vec<Duration> = (0..100).map(|_| backoff.next_delay()).collect();
        assert!(
            delays.iter().all(|delay| (min..=max).contains(delay)),
            "{delays:?}"
        );
        assert_eq!(delays[99], max);
        backoff.reset();
        assert!(backoff.next_delay() < max);
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_ends() {
        let delays = within(Deadline::within(Duration::from_millis(100))).build();
        let total: Duration = delays.take(10_000).sum();
        assert!(total <= Duration::from_millis(100), "{total:?}");
    }
}
