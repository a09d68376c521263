//! Every metric of query-svc: name, unit, help.

use std::time::Duration;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const READS: &str = "tidemark_reads_total";
const WAIT: &str = "tidemark_read_wait_seconds";
const REFUSED: &str = "tidemark_reads_refused_total";
const REALTIME: &str = "tidemark_realtime_reads_total";
const HEADS: &str = "tidemark_lane_head_reads_total";
const SHED: &str = "tidemark_reads_shed_total";
const WAITING: &str = "tidemark_reads_waiting";
const OFFSET: &str = "tidemark_replica_offset";
const BEHIND: &str = "tidemark_view_behind_events";
const READABLE: &str = "tidemark_view_readable";
const AGE: &str = "tidemark_watermark_age_seconds";

/// Registers unit and help of every metric.
pub fn describe() {
    describe_counter!(
        READS,
        Unit::Count,
        "reads answered, by endpoint and step of the ladder"
    );
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "time from a read's arrival until its answer was read, by endpoint"
    );
    describe_counter!(
        REFUSED,
        Unit::Count,
        "reads that could not be answered, by endpoint and problem"
    );
    describe_counter!(
        REALTIME,
        Unit::Count,
        "real-time gets of documents whose lane was behind, by endpoint and outcome"
    );
    describe_counter!(
        HEADS,
        Unit::Count,
        "reads of the lane heads from the primary, by reason and outcome"
    );
    describe_counter!(
        SHED,
        Unit::Count,
        "reads refused because too many were queued for elasticsearch"
    );
    describe_gauge!(
        WAITING,
        Unit::Count,
        "reads that wait for lanes to become visible"
    );
    describe_gauge!(
        OFFSET,
        Unit::Count,
        "G: offset of the last change that this replica has read from the watermark topic"
    );
    describe_gauge!(
        BEHIND,
        Unit::Count,
        "events between the lane heads that projectors have seen and what is visible, by view"
    );
    describe_gauge!(
        AGE,
        Unit::Seconds,
        "age of the oldest watermark record of the active build's lanes, by view"
    );
    describe_gauge!(
        READABLE,
        Unit::Count,
        "1 while a view has an active build, by view"
    );
}

pub(crate) fn count_read(endpoint: &'static str, served: &'static str) {
    counter!(READS, "endpoint" => endpoint, "served" => served).increment(1);
}

pub(crate) fn record_wait(endpoint: &'static str, wait: Duration) {
    histogram!(WAIT, "endpoint" => endpoint).record(wait.as_secs_f64());
}

pub(crate) fn count_refused(endpoint: &'static str, problem: &'static str) {
    counter!(REFUSED, "endpoint" => endpoint, "problem" => problem).increment(1);
}

pub(crate) fn count_realtime(endpoint: &'static str, outcome: &'static str) {
    counter!(REALTIME, "endpoint" => endpoint, "outcome" => outcome).increment(1);
}

pub(crate) fn count_heads(reason: &'static str, outcome: &'static str) {
    counter!(HEADS, "reason" => reason, "outcome" => outcome).increment(1);
}

pub(crate) fn count_shed() {
    counter!(SHED).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn set_waiting(reads: usize) {
    gauge!(WAITING).set(reads as f64);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn set_offset(offset: u64) {
    gauge!(OFFSET).set(offset as f64);
}

/// Events and seconds that a view is behind; none without an active build.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn set_lag(view: &'static str, lag: Option<(u64, f64)>) {
    gauge!(READABLE, "view" => view).set(if lag.is_some() { 1.0 } else { 0.0 });
    // The lag is then unknown: neither the last value nor 0.
    gauge!(BEHIND, "view" => view).set(lag.map_or(f64::NAN, |(events, _)| events as f64));
    gauge!(AGE, "view" => view).set(lag.map_or(f64::NAN, |(_, seconds)| seconds));
}
