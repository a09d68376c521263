//! Prometheus metrics of a process: the recorder, its upkeep, and the text behind `/metrics`.
//!
//! Names of a service's own metrics live in that service's `metrics.rs`. Histograms whose names
//! end in `_seconds` have buckets from half a millisecond to a minute.

use std::fs;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::shutdown::Shutdown;

const SECONDS_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
const COUNT_BUCKETS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0,
];
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Renders what was recorded. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

/// Metrics that every service has: name, unit and help.
fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_gauge!(
        "tidemark_build_info",
        "1, with the service and its version as labels"
    );
    describe_gauge!(
        "tidemark_dependency_up",
        "1 while a server behind this process answers"
    );
    describe_histogram!(
        "tidemark_http_request_seconds",
        Unit::Seconds,
        "time to answer, by route"
    );
    describe_counter!(
        "tidemark_http_panics_total",
        "requests that ended in a panic"
    );
    describe_histogram!(
        "tidemark_elasticsearch_request_seconds",
        Unit::Seconds,
        "time of calls to Elasticsearch, by operation and outcome"
    );
    describe_gauge!(
        "tidemark_postgres_pool_max_size",
        "connections that the pool may hold"
    );
    describe_gauge!(
        "tidemark_postgres_pool_size",
        "connections that the pool holds"
    );
    describe_gauge!(
        "tidemark_postgres_pool_available",
        "connections that nobody uses"
    );
    describe_gauge!(
        "tidemark_postgres_pool_waiting",
        "requests that wait for a connection"
    );
    describe_counter!(
        "tidemark_watermark_records_skipped_total",
        "records of the watermark topic that say nothing here: of an unknown kind, or unreadable"
    );
    describe_counter!(
        "tidemark_postgres_pool_timeouts_total",
        "borrowers that gave up, by what they waited for"
    );
}

/// Installs the process's recorder, once, and keeps it from growing.
///
/// `service` is the label of `tidemark_build_info`, with the version.
pub fn install(
    service: &'static str,
    version: &'static str,
    shutdown: &Shutdown,
) -> Result<Metrics, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe();
    metrics::gauge!("tidemark_build_info", "service" => service, "version" => version).set(1.0);
    let metrics = Metrics {
        handle: handle.clone(),
    };
    let token = shutdown.token();
    shutdown.spawn("metrics-upkeep", async move {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        while token.run_until_cancelled(ticks.tick()).await.is_some() {
            handle.run_upkeep();
        }
    });
    Ok(metrics)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)?
        .set_buckets(COUNT_BUCKETS)
}

impl Metrics {
    /// For tests: a recorder that nothing is recorded to.
    pub fn detached() -> Self {
        Self {
            handle: PrometheusBuilder::new().build_recorder().handle(),
        }
    }

    /// The text exposition format.
    pub fn render(&self) -> String {
        record_process();
        self.handle.render()
    }
}

pub async fn scrape(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(metrics.render())
}

/// Memory, descriptors and threads as `/proc` has them; left out where there is no `/proc`.
fn record_process() {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return;
    };
    if let Some(kilobytes) = status_number(&status, "VmRSS:") {
        metrics::gauge!("process_resident_memory_bytes").set(kilobytes * 1024.0);
    }
    if let Some(threads) = status_number(&status, "Threads:") {
        metrics::gauge!("process_threads").set(threads);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(seconds) = cpu_seconds(&stat) {
        metrics::gauge!("process_cpu_seconds_total").set(seconds);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 descriptors")]
        metrics::gauge!("process_open_fds").set(descriptors.count() as f64);
    }
}

/// User and system time: fields 14 and 15, in hundredths of a second on every Linux.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
    ticks
        .sum::<Result<f64, _>>()
        .ok()
        .map(|ticks| ticks / 100.0)
}

fn status_number(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_histograms_with_buckets() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("answer_seconds").record(0.003);
            record_process();
        });
        let text = recorder.handle().render();
        assert!(
            text.contains("answer_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        assert!(text.contains("process_cpu_seconds_total"), "{text}");
    }
}
