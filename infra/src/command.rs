//! The commands, each in a file of its own.

mod down;
mod run_server;
mod shared;
mod status;
mod supervise;
mod up;

use anyhow::Result;

use crate::cli::Command;

/// Runs one command to its end.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Shared => shared::run().await,
        Command::Supervise(args) => supervise::run(args).await,
        Command::RunServer(args) => run_server::run(&args),
    }
}
