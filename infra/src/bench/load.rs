//! Load: closed loops for rates, open loops for latencies.
//!
//! In an open loop requests start at times set beforehand, however slow the answers are, and count
//! from those times; so a stall is seen by all requests that fall into it.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Error, Result, ensure};
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use hdrhistogram::Histogram;
use tokio::time::Instant;

/// Requests of an open loop that may be unanswered at once; more are counted as failures.
const MAX_UNANSWERED: usize = 2_000;
/// Failures in a row after which a client gives up.
const MAX_FAILURES_IN_A_ROW: u32 = 50;
const LONGEST_MICROSECONDS: u64 = 120_000_000;

/// How long requests took.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

/// When a closed loop ends: clients end after the request that they are at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    Passed(Duration),
    Asked(u64),
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Load {
    pub latencies: Latencies,
    pub failures: Failures,
    took: Duration,
}

/// How many, and what the first was.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub count: u64,
    pub first: Option<Error>,
}

impl Latencies {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, 3);
        Self(histogram.expect("the bounds are constants and valid"))
    }

    pub fn record(&mut self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(microseconds.max(1));
    }

    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// In milliseconds; `share` is 0.99 for p99.
    pub fn quantile(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1_000.0
    }

    pub fn max(&self) -> f64 {
        self.0.max() as f64 / 1_000.0
    }
}

impl Failures {
    pub fn add(&mut self, error: Error) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

impl Load {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64()
    }
}

/// Clients that ask, wait for the answer, and ask again. `ask` gets the number of the client and
/// that of the request, which no other request has.
pub(super) async fn closed_loop(
    clients: usize,
    until: Until,
    ask: impl AsyncFn(usize, u64) -> Result<()>,
) -> Result<Load> {
    let (next, started) = (Cell::new(0), Instant::now());
    let is_over = |number: u64| match until {
        Until::Passed(time) => started.elapsed() >= time,
        Until::Asked(count) => number >= count,
    };
    let client = async |client: usize| {
        let (mut latencies, mut failures) = (Latencies::new(), Failures::default());
        let mut in_a_row = 0;
        while in_a_row < MAX_FAILURES_IN_A_ROW {
            let number = next.get();
            if is_over(number) {
                break;
            }
            next.set(number + 1);
            let sent = Instant::now();
            match ask(client, number).await {
                Ok(()) => {
                    latencies.record(sent.elapsed());
                    in_a_row = 0;
                }
                Err(error) => {
                    failures.add(error);
                    in_a_row += 1;
                }
            }
        }
        (latencies, failures)
    };
    let ended = join_all((0..clients).map(client)).await;
    let took = started.elapsed();
    let (mut latencies, mut failures) = (Latencies::new(), Failures::default());
    for (own_latencies, own_failures) in ended {
        latencies.add(&own_latencies);
        failures.extend(own_failures);
    }
    answered(Load {
        latencies,
        failures,
        took,
    })
}

/// Requests that start at a steady rate for so long, and all their answers. `ask` gets the time at
/// which it should have started.
pub(super) async fn open_loop(
    per_second: u32,
    lasting: Duration,
    ask: impl AsyncFn(u64, Instant) -> Result<()>,
) -> Result<Load> {
    let mut load = Load {
        latencies: Latencies::new(),
        failures: Failures::default(),
        took: lasting,
    };
    let started = Instant::now();
    if per_second == 0 {
        tokio::time::sleep_until(started + lasting).await;
        return Ok(load);
    }
    let count = u64::from(per_second) * lasting.as_millis() as u64 / 1_000;
    let start_of = |number: u64| {
        started + Duration::from_secs(1).mul_f64(number as f64 / f64::from(per_second))
    };
    let one = async |number: u64| {
        let intended = start_of(number);
        let answer = ask(number, intended).await;
        (answer, intended.elapsed())
    };
    let mut unanswered = FuturesUnordered::new();
    let mut next = 0;
    while next < count || !unanswered.is_empty() {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(start_of(next)), if next < count => {
                if unanswered.len() < MAX_UNANSWERED {
                    unanswered.push(one(next));
                } else {
                    load.failures.add(anyhow::anyhow!("{MAX_UNANSWERED} requests are unanswered"));
                }
                next += 1;
            }
            Some((answer, took)) = unanswered.next() => match answer {
                Ok(()) => load.latencies.record(took),
                Err(error) => load.failures.add(error),
            },
        }
    }
    drop(unanswered);
    load.took = started.elapsed().max(lasting);
    answered(load)
}

/// A load that nobody answered measures nothing.
fn answered(mut load: Load) -> Result<Load> {
    if load.latencies.count() == 0
        && let Some(error) = load.failures.first.take()
    {
        return Err(error.context("no request was answered"));
    }
    ensure!(load.latencies.count() > 0, "no request was made");
    Ok(load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_seen_by_all_requests_that_fall_into_it() {
        let stall = Instant::now() + Duration::from_secs(1);
        let ask = async |_, _| {
            tokio::time::sleep_until(stall).await;
            Ok(())
        };
        let load = open_loop(10, Duration::from_secs(1), ask).await.unwrap();
        assert_eq!(load.latencies.count(), 10);
        assert!(load.latencies.max() >= 999.0, "{}", load.latencies.max());
        assert!((500.0..620.0).contains(&load.latencies.quantile(0.5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_asks_again_when_it_was_answered() {
        let ask = async |_, _| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(())
        };
        let load = closed_loop(4, Until::Passed(Duration::from_secs(1)), ask)
            .await
            .unwrap();
        assert_eq!(load.latencies.count(), 40);
        assert!((39.0..41.0).contains(&load.rate()), "{}", load.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_counted_and_end_a_client_that_has_no_other_answers() {
        let ask = async |_, number| {
            ensure!(number == 0, "away");
            Ok(())
        };
        let load = closed_loop(1, Until::Asked(1_000), ask).await.unwrap();
        assert_eq!(load.latencies.count(), 1);
        assert_eq!(load.failures.count, u64::from(MAX_FAILURES_IN_A_ROW));
    }
}
