//! Metrics of the write side: name, unit and help of each, in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const COMMANDS: &str = "tidemark_commands_total";
const COMMAND_SECONDS: &str = "tidemark_command_seconds";
const TOGETHER: &str = "tidemark_commands_together";
const RETRIES: &str = "tidemark_command_retries_total";
const EXPIRED_KEYS: &str = "tidemark_idempotency_keys_expired_total";

/// Says what each metric means. Once, after the recorder was installed.
pub fn describe() {
    describe_counter!(
        COMMANDS,
        Unit::Count,
        "commands executed, by type and outcome"
    );
    describe_histogram!(
        COMMAND_SECONDS,
        Unit::Seconds,
        "time to execute a command, by type"
    );
    describe_histogram!(
        TOGETHER,
        Unit::Count,
        "commands that one transaction committed together"
    );
    describe_counter!(
        RETRIES,
        Unit::Count,
        "further tries of commands, by what ended the last"
    );
    describe_counter!(
        EXPIRED_KEYS,
        Unit::Count,
        "idempotency keys removed after their time"
    );
}

pub fn executed(command: &'static str, outcome: &'static str, took: Duration) {
    counter!(COMMANDS, "command" => command, "outcome" => outcome).increment(1);
    histogram!(COMMAND_SECONDS, "command" => command).record(took.as_secs_f64());
}

#[expect(clippy::cast_precision_loss, reason = "a few dozen")]
pub fn committed_together(commands: usize) {
    histogram!(TOGETHER).record(commands as f64);
}

pub fn retried(fault: &'static str) {
    counter!(RETRIES, "fault" => fault).increment(1);
}

pub fn expired_keys(count: u64) {
    counter!(EXPIRED_KEYS).increment(count);
}
