//! The command line. Its `--help` is the manual.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

/// Runs and looks after a Tidemark on this machine.
///
/// The servers (PostgreSQL 18, Kafka 4, Elasticsearch 9) are fetched once with Maven, which needs
/// `mvn` and a JDK of version 21 or newer, into TIDEMARK_CACHE (by default below ~/.cache, for
/// root /var/cache). What `up` keeps lies in TIDEMARK_STATE (by default below ~/.local/state, for
/// root /var/lib). Everything listens on 127.0.0.1 only: PostgreSQL on 55432, Kafka on 59092,
/// Elasticsearch on 59200.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the servers and the services, and leave them running
    Up(Up),
    /// Stop what `up` started; the data stays
    Down(Down),
    /// Show what is running
    Status(Status),
    /// Start, or join, the tests' throw-away servers and keep them until interrupted
    ///
    /// Test runs that start meanwhile use the same servers and need not wait for them.
    Shared,
    #[command(hide = true)]
    Supervise(Supervise),
    #[command(hide = true)]
    RunServer(RunServer),
}

#[derive(Debug, Args)]
pub struct Up {
    /// How many of the services to start; 0 starts the servers alone
    #[arg(long, default_value_t = 0)]
    pub services: u16,
}

#[derive(Debug, Args)]
pub struct Down {
    /// Delete the data as well
    #[arg(long)]
    pub wipe: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// Runs the servers of one stack; started by `up`, `shared` and the tests.
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
