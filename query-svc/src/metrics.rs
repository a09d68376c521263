//! Every metric of query-svc: name, unit, help.

use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use chassis::problem::ApiError;

const READS: &str = "tidemark_reads_total";
const WAIT: &str = "tidemark_read_wait_seconds";
const REFUSED: &str = "tidemark_reads_refused_total";
const REALTIME: &str = "tidemark_realtime_reads_total";
const HEADS: &str = "tidemark_lane_head_reads_total";
const SHED: &str = "tidemark_reads_shed_total";

/// Names all of them, so that `/metrics` explains itself.
pub fn describe() {
    describe_counter!(
        READS,
        Unit::Count,
        "reads answered, by endpoint and step of the ladder"
    );
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "time that reads stood on the ladder before their answer was read, by endpoint"
    );
    describe_counter!(
        REFUSED,
        Unit::Count,
        "reads that could not be answered, by endpoint and problem"
    );
    describe_counter!(
        REALTIME,
        Unit::Count,
        "documents read as last written because their lane was behind, by endpoint and outcome"
    );
    describe_counter!(
        HEADS,
        Unit::Count,
        "questions for lane heads to the primary, by reason and outcome"
    );
    describe_counter!(
        SHED,
        Unit::Count,
        "reads sent away because too many were waiting for elasticsearch"
    );
}

pub(crate) fn count_read(endpoint: &'static str, served: &'static str) {
    counter!(READS, "endpoint" => endpoint, "served" => served).increment(1);
}

pub(crate) fn record_wait(endpoint: &'static str, wait: Duration) {
    histogram!(WAIT, "endpoint" => endpoint).record(wait.as_secs_f64());
}

pub(crate) fn count_refused(endpoint: &'static str, error: &ApiError) {
    let uri = &error.problem().type_uri;
    let name = uri.rsplit('/').next().unwrap_or_default().to_owned();
    counter!(REFUSED, "endpoint" => endpoint, "problem" => name).increment(1);
}

pub(crate) fn count_realtime(endpoint: &'static str, is_proven: bool) {
    let outcome = if is_proven { "proven" } else { "not_yet" };
    counter!(REALTIME, "endpoint" => endpoint, "outcome" => outcome).increment(1);
}

pub(crate) fn count_heads(reason: &'static str, outcome: &'static str) {
    counter!(HEADS, "reason" => reason, "outcome" => outcome).increment(1);
}

pub(crate) fn count_shed() {
    counter!(SHED).increment(1);
}
