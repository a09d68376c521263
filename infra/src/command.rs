//! The commands, each in a file of its own.

mod bench;
mod builds;
mod dead_letters;
mod demo;
mod down;
mod import;
mod lag;
mod replay;
mod status;
mod token;
mod up;
mod verify;
mod watch;

use anyhow::Result;

use crate::cli::Command;

/// Runs one command to its end.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Token(args) => token::run(&args),
        Command::Import(args) => import::run(args).await,
        Command::Lag(args) => lag::run(args).await,
        Command::Builds(args) => builds::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::DeadLetters(args) => dead_letters::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Supervise(args) => testbed::command::supervise(args).await,
        Command::Watch(args) => watch::run(&args).await,
        Command::RunServer(args) => testbed::command::run_server(&args),
    }
}
