//! Metrics of the write side: name, unit and help of each, in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::domain::{category, product};
use crate::execute::{Answer, Command, ExecuteError, Outcome};

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

pub fn executed(command: &Command, executed: &Result<Outcome, ExecuteError>, took: Duration) {
    let command = command_label(command);
    let outcome = outcome_label(executed);
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

fn command_label(command: &Command) -> &'static str {
    match command {
        Command::Category(_, category::Command::Create { .. }) => "create_category",
        Command::Category(_, category::Command::Change(_)) => "change_category",
        Command::Category(_, category::Command::Retire) => "retire_category",
        Command::Product(_, product::Command::Create(_)) => "create_product",
        Command::Product(_, product::Command::Change(_)) => "change_product",
        Command::Product(_, product::Command::ChangePrice(_)) => "change_price",
        Command::Product(_, product::Command::ChangeListing(_)) => "change_listing",
        Command::Stock(..) => "move_stock",
    }
}

fn outcome_label(executed: &Result<Outcome, ExecuteError>) -> &'static str {
    match executed {
        Ok(outcome) if outcome.replayed => "replayed",
        Ok(Outcome {
            answer: Answer::Created { .. },
            ..
        }) => "created",
        Ok(Outcome {
            answer: Answer::Current { .. },
            appended: true,
            ..
        }) => "changed",
        Ok(Outcome {
            answer: Answer::Current { .. },
            ..
        }) => "unchanged",
        Ok(Outcome {
            answer: Answer::Refused { problem },
            ..
        }) => refusal_label(problem.status),
        // The client's own first answer, found again after its connection was lost.
        Ok(Outcome {
            answer: Answer::Kept(sent),
            ..
        }) => match sent.status {
            201 => "created",
            200 => "changed",
            status => refusal_label(status),
        },
        Err(ExecuteError::Overloaded) => "overloaded",
        Err(ExecuteError::KeyReused) => "key_reused",
        Err(ExecuteError::Busy(_) | ExecuteError::KeyExpired) => "busy",
        Err(ExecuteError::Unavailable(_)) => "unavailable",
        Err(ExecuteError::OutcomeUnknown(_)) => "outcome_unknown",
        Err(ExecuteError::HistoryChanged(_) | ExecuteError::Failed(_) | ExecuteError::Kept(_)) => {
            "failed"
        }
    }
}

fn refusal_label(status: u16) -> &'static str {
    match status {
        404 => "not_found",
        412 => "mismatch",
        _ => "refused",
    }
}
