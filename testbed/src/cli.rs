//! The command line of the servers that tests need: `--help` is the manual.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

/// Runs PostgreSQL, Kafka and Elasticsearch for tests.
#[derive(Debug, Parser)]
#[command(name = "testbed", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the tests' servers running between runs, until interrupted
    Shared,
    #[command(hide = true)]
    Supervise(Supervise),
    #[command(hide = true)]
    RunServer(RunServer),
}

/// Runs the servers of one stack; started by the programs that need them.
#[derive(Debug, Args)]
pub struct Supervise {
    /// Print the version of the specification that is understood, and end
    #[arg(long)]
    pub protocol: bool,
    /// What to run, as JSON
    #[arg(required_unless_present = "protocol")]
    pub spec: Option<String>,
}

/// Becomes a server that ends with its supervisor.
#[derive(Debug, Args)]
pub struct RunServer {
    /// The supervisor's pid
    #[arg(long)]
    pub parent: i32,
    /// The signal to get when the supervisor is gone
    #[arg(long)]
    pub on_orphaned: String,
    #[arg(long, requires = "gid")]
    pub uid: Option<u32>,
    #[arg(long, requires = "uid")]
    pub gid: Option<u32>,
    /// The server's program and arguments
    #[arg(last = true, required = true)]
    pub program: Vec<OsString>,
}
