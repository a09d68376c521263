//! The command line. Its `--help` is the manual.

use std::path::PathBuf;

use chassis::{auth::Role, config::DEVELOPMENT_JWT_SECRET};
use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use schemas::view::View;
use secrecy::SecretString;
use testbed::cli::{RunServer, Supervise};
use uuid::Uuid;

use crate::bench;

/// Runs and looks after a Tidemark on this machine.
///
/// The servers (PostgreSQL 18, Kafka 4, Elasticsearch 9) are fetched once with Maven, which needs
/// `mvn` and a JDK of version 21 or newer, into TIDEMARK_CACHE (by default below ~/.cache, for
/// root /var/cache). What `up` keeps lies in TIDEMARK_STATE (by default below ~/.local/state, for
/// root /var/lib): the data, the logs, and the list of what runs, by which all other commands find
/// it. Everything listens on 127.0.0.1 only: PostgreSQL on 55432, Kafka on 59092, Elasticsearch on
/// 59200, command-svc on 8081, query-svc on 8082, projector on 8083.
///
/// Answers go to stdout, progress to stderr; `--json` gives answers for programs.
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
    ///
    /// Builds the services with cargo first. What runs already is left as it is, and what an
    /// earlier `up` has started and is down is started again. What ends by itself is started again
    /// after a pause of 1 s, which doubles up to 30 s.
    Up(Up),
    /// Stop what `up` started: the services once they have answered what they were asked, then the
    /// servers; the data stays
    Down(Down),
    /// Show what is running, whether it is ready, and what has ended by itself
    Status(Status),
    /// See it work: start everything, import a sample shop, write, and find what was written
    ///
    /// Leaves everything running; `down` ends it.
    Demo(Demo),
    /// Print a bearer token, valid for a day
    Token(Token),
    /// Bring in a file
    #[command(subcommand)]
    Import(Import),
    /// Show how far each view is behind the events
    Lag(Lag),
    /// Show the builds of each view: one is read, the others take over from it or have been left
    Builds(Builds),
    /// Build a view anew from the events, while it is read and written, and switch to it
    Replay(Replay),
    /// Events that could not be folded, or whose documents Elasticsearch refused
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Check that rows and documents are what the events make of them; lists every difference
    ///
    /// May run while it is written to. Fails when there are differences.
    Verify(Verify),
    /// Measure a throw-away Tidemark beside the same work straight on the servers below it
    ///
    /// Starts its own servers and services. The workloads are those of infra/workloads.
    Bench(bench::options::Options),
    #[command(hide = true)]
    Supervise(Supervise),
    #[command(hide = true)]
    Watch(Watch),
    #[command(hide = true)]
    RunServer(RunServer),
}

#[derive(Debug, Args)]
pub struct Up {
    /// How many of each service to run, up to 16; 0 starts the servers alone
    ///
    /// First ones listen on ports 8081 to 8083, further ones on the next that are free.
    #[arg(
        long,
        visible_alias = "services",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(..=16)
    )]
    pub replicas: u16,
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

#[derive(Debug, Args)]
pub struct Demo {
    #[command(flatten)]
    pub signing: Signing,
}

#[derive(Debug, Args)]
pub struct Token {
    /// What its bearer may do
    #[arg(long, value_enum)]
    pub role: Role,
    /// Id of the customer or member of staff; a new one where it is not given
    #[arg(long, value_name = "ID")]
    pub sub: Option<Uuid>,
    #[command(flatten)]
    pub signing: Signing,
}

/// What bearer tokens are signed with.
#[derive(Debug, Args)]
pub struct Signing {
    /// Secret of the bearer tokens; by default the one for development, as in the services
    #[arg(
        long,
        env = "JWT_SECRET",
        default_value = DEVELOPMENT_JWT_SECRET,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub jwt_secret: SecretString,
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Products as NDJSON, one a line, new or changed by their sku
    ///
    /// Lines that are refused, with the reason, go to `<FILE>.refused.ndjson` in the current
    /// folder. Ends when everything is searchable. Running it again changes nothing.
    Products(ImportProducts),
}

#[derive(Debug, Args)]
pub struct ImportProducts {
    /// The file, gzipped or not
    pub file: PathBuf,
    /// For programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub signing: Signing,
}

#[derive(Debug, Args)]
pub struct Lag {
    /// Show it again every second, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// For programs; an object a line with --watch
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Builds {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// The view
    #[arg(value_parser = PossibleValuesParser::new(View::ALL.map(View::name)).map(view))]
    pub view: View,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Show the newest of them
    List(ListDeadLetters),
}

#[derive(Debug, Args)]
pub struct ListDeadLetters {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// Starts the services of a deployment and starts them again when they end; started by `up`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Holds the plan of what to run
    pub dir: PathBuf,
}

fn view(name: String) -> View {
    View::from_name(&name).expect("only names of views are taken")
}
