//! The `testbed` command: parses, runs, and says what went wrong.

use std::process::ExitCode;

use clap::Parser;
use testbed::{cli::Cli, command, output};

/// One thread: servers end with the thread that started them, so it must be the main one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match command::run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
