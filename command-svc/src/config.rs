//! What limits command-svc: its options, as `--help` shows them, and the limits that are fixed.
//!
//! Limits of texts are in `schemas::text`, those of the catalogue beside its rules.

use std::time::Duration;

use chassis::config::{HttpArgs, KafkaArgs, KeyArgs, LogArgs, NamespaceArgs, PostgresArgs};
use clap::{Parser, Subcommand};
use secrecy::SecretString;

/// The port where clients expect the write side.
pub const DEFAULT_PORT: u16 = 8081;

// Commands.

/// Commands that run at once: with more, waiting for a connection would take all of a deadline.
pub const MAX_RUNNING_COMMANDS: usize = 1_024;
/// What a request may take, every wait within it included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may be delayed to read the lane heads for a foreign tidemark.
pub const FOREIGN_TIDEMARK_TIMEOUT: Duration = Duration::from_millis(200);
pub const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;
/// When to try again, where nothing better is known.
pub const RETRY_AFTER_MS: u64 = 1_000;
/// Connections that a command may lose before COMMIT: with the next one it gives up.
pub const MAX_LOST_CONNECTIONS: u32 = 2;
/// How long a transaction waits for lanes.
pub const MAX_LOCK_WAIT: Duration = Duration::from_secs(2);
/// What is left of a deadline for COMMIT to be answered, however long the lanes are waited for.
pub const COMMIT_RESERVE: Duration = Duration::from_millis(200);
/// Groups that are committed at once: one reads and decides while the other is written to disk.
pub const GROUPS_IN_FLIGHT: usize = 2;
/// Commands in one group.
pub const MAX_GROUP: usize = 64;
/// How long a group waits for a connection. Its members may leave at any time.
pub const GROUP_CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// A command with less time left runs alone: its deadline would pass before its group has ended.
pub const MIN_REMAINING: Duration = Duration::from_secs(1);
/// What a group may take, whatever its members have left: more than a lane is waited for, so that
/// the wait ends with an answer of PostgreSQL and never within COMMIT.
pub const GROUP_TIMEOUT: Duration = Duration::from_secs(3);

// Imports.

/// Transactions of all imports together: the rest of the pool is for commands.
pub const MAX_IMPORT_TRANSACTIONS: usize = 2;
pub const MAX_RUNNING_IMPORTS: usize = 8;
/// When to try again, while as many imports run as may.
pub const IMPORT_RETRY_AFTER_MS: u64 = 5_000;
/// Pieces of the body, and of the answer, on their way between the runtimes.
pub const PIECES_IN_FLIGHT: usize = 4;
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Transactions of one import.
pub const BATCHES_IN_FLIGHT: usize = 2;
/// How long a line waits for others to come.
pub const GATHER_TIME: Duration = Duration::from_millis(20);
/// A client that neither sends nor takes anything for this long has left.
pub const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that lets answers wait for this long, once no more are kept for it, reads only after
/// it has sent everything.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the service tries to tell a client that its import stopped.
pub const STOP_NOTICE_TIMEOUT: Duration = Duration::from_secs(1);
/// All tries of a batch.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The same while the database is away.
pub const BATCH_TIMEOUT_WHILE_AWAY: Duration = Duration::from_secs(1);
/// One try of a batch, waiting for a connection included.
pub const BATCH_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Reading the heads of the lanes that the totals cover.
pub const HEADS_TIMEOUT: Duration = Duration::from_secs(10);
/// One try of it.
pub const HEADS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Lines of a batch, in memory, whatever the pace allows beyond.
pub const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Lines that wait for a batch, in memory.
pub const MAX_QUEUED_BYTES: usize = 4 * 1024 * 1024;
/// The same in lines.
pub const MAX_QUEUED_LINES: usize = 4 * MAX_BATCH;
/// Paths of categories that are remembered to exist.
pub const MAX_KNOWN_PATHS: usize = 100_000;
/// What is taken of a piece at once. The decompressor makes at most 64 KiB of it at once, and takes
/// less where it would make more.
pub const SLICE_BYTES: usize = 16 * 1024;
/// Answers that wait for the client: those of some 50,000 lines that are not refused.
pub const MAX_KEPT_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Answers that are handed over at once.
pub const ANSWER_PIECE_BYTES: usize = 64 * 1024;
/// Lanes are to be held for 20 ms at most, since commands wait for them. Times vary: the median has
/// to be well below that. Batches shrink when it is above this …
pub const SHRINK_ABOVE: Duration = Duration::from_millis(15);
/// … and grow when it is below this.
pub const GROW_BELOW: Duration = Duration::from_millis(12);
/// Products in the first batches.
pub const FIRST_BATCH: usize = 50;
/// Products in a batch; with fewer a commit costs more than what it commits.
pub const MIN_BATCH: usize = 16;
pub const MAX_BATCH: usize = 500;
/// Batches between two steps of the pace.
pub const MEASURED_BATCHES: usize = 3;

// The relay to Kafka.

/// Commits of other replicas are found within this time.
pub const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Under load, a read takes what has gathered since the last: each costs PostgreSQL, Kafka and
/// every reader of the topic about as much as the events in it.
pub const MIN_READ_INTERVAL: Duration = Duration::from_millis(5);
/// Between two times that positions are remembered and more partitions are tried for.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);
/// One read may exceed it.
pub const MAX_EVENTS_IN_FLIGHT: usize = 4_096;
/// Publishing what is committed, once the process has to stop.
pub const RELAY_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Making the events topic, should it be missing.
pub const TOPIC_CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Twenty typical events share a request; a record that is larger travels alone.
pub const MAX_PRODUCE_BATCH_BYTES: usize = 256 * 1024;
/// A session that lasted this long was a good one: the next one starts without a pause.
pub const STEADY_SESSION: Duration = Duration::from_secs(10);
/// Any one statement of the relay.
pub const RELAY_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Events read of one lane at a time: 64 lanes stay within what a sort holds in memory.
pub const MAX_EVENTS_PER_LANE: i64 = 32;
/// Data read at a time; the last event may exceed it.
pub const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// Silence after which Kafka is asked whether it is there.
pub const BROKER_SILENCE: Duration = Duration::from_secs(2);
/// Kafka is asked this often however much is heard, so that a topic that has grown is noticed.
pub const BROKER_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Asking for the topic's partitions.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// Closing a producer: its thread looks up every 100 ms, then purges for at most 500 ms.
pub const PRODUCER_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

// Starting, and upkeep while the process runs.

/// Waiting for another process that migrates, migrating, and making topics.
pub const START_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(120);
/// Making both topics, all tries together.
pub const TOPICS_TIMEOUT: Duration = Duration::from_secs(20);
/// One try of it.
pub const TOPICS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks for the topics.
pub const TOPIC_WATCH_INTERVAL: Duration = Duration::from_secs(10);
/// The same while one is missing.
pub const MISSING_TOPIC_INTERVAL: Duration = Duration::from_secs(5);
pub const TOPIC_LOOK_TIMEOUT: Duration = Duration::from_secs(4);
pub const TOPIC_MAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Beginning another epoch, waiting for the lock of migrations included.
pub const EPOCH_CHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// A topic is lost when it was missing at this many looks …
pub const LOST_TOPIC_LOOKS: u32 = 3;
/// … over this time.
pub const LOST_TOPIC_TIME: Duration = Duration::from_secs(10);
/// Between two looks for PostgreSQL.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);
/// The same while it is away.
pub const PING_RETRY_INTERVAL: Duration = Duration::from_millis(50);
pub const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two removals of old idempotency keys.
pub const KEY_EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
pub const KEY_EXPIRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Keys removed in one statement: few, so that no lock is held for long.
pub const MAX_EXPIRED_KEYS: i64 = 500;
/// Rows that get their keys in one transaction at a start.
pub const KEY_PAGE_ROWS: i64 = 2_000;
/// Rows of a page that `verify` compares; its memory is bounded by it.
pub const VERIFY_PAGE_ROWS: usize = 1_000;

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
    /// session. DATABASE_URL by default.
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
