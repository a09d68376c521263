//! Metrics of imports.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use schemas::rest::import::LineStatus;

const LINES: &str = "tidemark_import_lines_total";
const RUNNING: &str = "tidemark_imports_running";
const BATCH_LINES: &str = "tidemark_import_batch_lines";
const LANES_HELD: &str = "tidemark_import_lanes_held_seconds";
const RETRIES: &str = "tidemark_import_retries_total";

pub fn describe() {
    describe_counter!(LINES, Unit::Count, "lines imported, by status");
    describe_gauge!(RUNNING, Unit::Count, "imports that are running");
    describe_histogram!(BATCH_LINES, Unit::Count, "lines in one transaction");
    describe_histogram!(
        LANES_HELD,
        Unit::Seconds,
        "from taking the lanes to the end of the commit"
    );
    describe_counter!(
        RETRIES,
        Unit::Count,
        "further tries of batches, by what ended the last"
    );
}

pub fn answered(status: LineStatus) {
    counter!(LINES, "status" => status_label(status)).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred lines")]
pub fn committed(lines: usize, held: Option<Duration>) {
    histogram!(BATCH_LINES).record(lines as f64);
    if let Some(held) = held {
        histogram!(LANES_HELD).record(held.as_secs_f64());
    }
}

pub fn retried(fault: &'static str) {
    counter!(RETRIES, "fault" => fault).increment(1);
}

/// Counts an import as running until it is dropped.
#[derive(Debug)]
pub struct Running(());

impl Running {
    pub fn start() -> Self {
        gauge!(RUNNING).increment(1.0);
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        gauge!(RUNNING).decrement(1.0);
    }
}

fn status_label(status: LineStatus) -> &'static str {
    match status {
        LineStatus::Created => "created",
        LineStatus::Updated => "updated",
        LineStatus::Unchanged => "unchanged",
        LineStatus::Refused => "refused",
    }
}
