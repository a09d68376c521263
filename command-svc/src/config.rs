//! What an operator can set: `--help` is the manual.

use chassis::config::{HttpArgs, KafkaArgs, KeyArgs, LogArgs, NamespaceArgs, PostgresArgs};
use clap::{Parser, Subcommand};
use secrecy::SecretString;

/// The port where clients expect the write side.
pub const DEFAULT_PORT: u16 = 8081;

/// The write side of Tidemark: takes commands over REST, keeps rows and events in PostgreSQL, and
/// publishes the events to Kafka.
#[derive(Debug, Clone, Parser)]
#[command(name = "command-svc", version)]
pub struct CommandArgs {
    #[command(subcommand)]
    pub task: Option<Task>,
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub postgres: PostgresArgs,
    /// Where PostgreSQL is without a pooler between: migrations and the relay hold locks of their
    /// session. The same as DATABASE_URL unless told.
    #[arg(long, env = "DIRECT_DATABASE_URL", hide_env_values = true)]
    pub direct_database_url: Option<SecretString>,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// Refuse changes that do not say with If-Match which version they expect.
    #[arg(long, env = "REQUIRE_IF_MATCH")]
    pub require_if_match: bool,
}

impl CommandArgs {
    /// For sessions that have to stay what they are.
    pub fn direct_database_url(&self) -> &SecretString {
        let direct = self.direct_database_url.as_ref();
        direct.unwrap_or(&self.postgres.database_url)
    }
}

/// Instead of serving.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Task {
    /// Compare every row with the events that it is the fold of; differences as lines of JSON
    Verify,
}
