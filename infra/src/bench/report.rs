//! What a bench found: a table for people, JSON for programs.

use serde::Serialize;
use serde_json::Value;

use super::load::{Failures, Latencies};
use crate::output::{grouped, table};
use crate::service::Profile;

/// The answer of a bench.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) bench: &'static str,
    pub(super) machine: Machine,
    pub(super) workload: Value,
    pub(super) sides: Vec<Side>,
    pub(super) findings: Vec<Finding>,
}

/// Where it ran: figures of different machines are not to be compared.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cores: usize,
    profile: &'static str,
    /// Of the last minute, when the report was made: how crowded the machine is, the bench included.
    load_average: Option<f64>,
}

/// One of those that took turns.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    name: String,
    /// Per second, by round.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<String>,
}

/// A figure that varies by round.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Spread {
    min: f64,
    median: f64,
    max: f64,
    rounds: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Latency {
    count: u64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// A figure with what it should be.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub name: String,
    pub value: Spread,
    pub target: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
}

/// What the median should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Machine {
    pub fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            profile: Profile::own().name(),
            load_average: load_average(),
        }
    }
}

impl Spread {
    /// Of at least one round.
    pub fn of(rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Self {
            min: sorted[0],
            median,
            max: sorted[sorted.len() - 1],
            rounds,
        }
    }

    pub fn rounds(&self) -> &[f64] {
        &self.rounds
    }

    /// Round by round.
    pub fn over(&self, floor: &Self) -> Self {
        let rounds = self.rounds.iter().zip(&floor.rounds);
        Self::of(rounds.map(|(rate, floor)| rate / floor).collect())
    }
}

impl From<&Latencies> for Latency {
    fn from(latencies: &Latencies) -> Self {
        Self {
            count: latencies.count(),
            p50_ms: latencies.quantile(0.5),
            p90_ms: latencies.quantile(0.9),
            p99_ms: latencies.quantile(0.99),
            max_ms: latencies.max(),
        }
    }
}

impl Side {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rate: None,
            latency: None,
            failures: 0,
            first_failure: None,
        }
    }

    #[must_use]
    pub fn rate(mut self, rate: Spread) -> Self {
        self.rate = Some(rate);
        self
    }

    #[must_use]
    pub fn latency(mut self, latencies: &Latencies) -> Self {
        self.latency = Some(latencies.into());
        self
    }

    #[must_use]
    pub fn failures(mut self, failures: &Failures) -> Self {
        self.failures = failures.count;
        self.first_failure = failures.first.as_ref().map(|error| format!("{error:#}"));
        self
    }
}

impl Finding {
    pub fn is_met(&self) -> bool {
        match self.target {
            Target::AtLeast(least) => self.value.median >= least,
            Target::AtMost(most) => self.value.median <= most,
        }
    }
}

impl Report {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report is plain data")
    }

    /// The sides, then what they mean.
    pub fn to_table(&self) -> String {
        let mut lines = vec![
            format!(
                "{} ({} cores, load {}, {} build)",
                self.bench,
                self.machine.cores,
                number(self.machine.load_average, 1),
                self.machine.profile
            ),
            self.sides_table(),
        ];
        if !self.findings.is_empty() {
            lines.push(self.findings_table());
        }
        let failed = self.sides.iter().filter_map(|side| {
            let first = side.first_failure.as_ref()?;
            Some(format!("{}: the first failure was: {first}", side.name))
        });
        lines.extend(failed);
        lines.join("\n")
    }

    fn sides_table(&self) -> String {
        let header = [
            "SIDE", "min/s", "median/s", "max/s", "n", "p50 ms", "p90 ms", "p99 ms", "max ms",
            "failures",
        ];
        let rows = self.sides.iter().map(|side| {
            let rate = |figure: fn(&Spread) -> f64| number(side.rate.as_ref().map(figure), 0);
            let took = |figure: fn(&Latency) -> f64| number(side.latency.as_ref().map(figure), 1);
            [
                side.name.clone(),
                rate(|rate| rate.min),
                rate(|rate| rate.median),
                rate(|rate| rate.max),
                side.latency
                    .map_or_else(String::new, |latency| grouped(latency.count)),
                took(|latency| latency.p50_ms),
                took(|latency| latency.p90_ms),
                took(|latency| latency.p99_ms),
                took(|latency| latency.max_ms),
                grouped(side.failures),
            ]
        });
        table(header, rows)
    }

    fn findings_table(&self) -> String {
        let header = ["FINDING", "min", "median", "max", "target", "goal", ""];
        let rows = self.findings.iter().map(|finding| {
            let value = |value| number(Some(value), 2);
            let target = match finding.target {
                Target::AtLeast(least) => format!("≥ {least}"),
                Target::AtMost(most) => format!("≤ {most}"),
            };
            let verdict = if finding.is_met() { "met" } else { "missed" };
            [
                finding.name.clone(),
                value(finding.value.min),
                value(finding.value.median),
                value(finding.value.max),
                target,
                finding
                    .goal
                    .map_or_else(String::new, |goal| goal.to_string()),
                verdict.to_owned(),
            ]
        });
        table(header, rows)
    }
}

fn load_average() -> Option<f64> {
    let averages = std::fs::read_to_string("/proc/loadavg").ok()?;
    averages.split(' ').next()?.parse().ok()
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let ratio = Spread::of(vec![10.0, 30.0]).over(&Spread::of(vec![20.0, 30.0]));
        assert_eq!(ratio.rounds, [0.5, 1.0]);
    }

    #[test]
    fn a_target_is_met_by_the_median() {
        let finding = |target| Finding {
            name: "x".to_owned(),
            value: Spread::of(vec![0.4, 0.6, 0.7]),
            target,
            goal: None,
        };
        assert!(finding(Target::AtLeast(0.5)).is_met());
        assert!(!finding(Target::AtMost(0.5)).is_met());
    }
}
