//! The commands, each in a file of its own. `tidemark` runs those that servers are started with
//! too, so that it needs no second program.

mod run_server;
mod shared;
mod supervise;

use anyhow::Result;

pub use self::{run_server::run as run_server, supervise::run as supervise};
use crate::cli::Command;

/// Runs one command to its end.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Shared => shared::run().await,
        Command::Supervise(args) => supervise(args).await,
        Command::RunServer(args) => run_server(&args),
    }
}
