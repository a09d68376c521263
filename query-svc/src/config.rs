//! What limits query-svc: its options, as `--help` shows them, and the limits that are fixed.
//!
//! Limits of query parameters are in `search/parameters.rs`, weights of fields in `search/text.rs`.

use std::time::Duration;

use chassis::config::{
    ElasticsearchArgs, HttpArgs, KafkaArgs, KeyArgs, LogArgs, NamespaceArgs, PostgresArgs, cores,
};

/// Where clients expect the read side.
pub const DEFAULT_PORT: u16 = 8082;

/// How long a read waits for what it needs to become visible, where its request does not say.
pub const DEFAULT_WAIT: Duration = Duration::from_millis(500);
/// What a read may take besides its wait.
pub const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// When a read that is not fresh enough is worth trying again, while lanes move.
pub const RETRY_SOON_MS: u64 = 250;
/// The same while nothing moves, or too many reads are waiting.
pub const RETRY_LATER_MS: u64 = 1_000;

/// The longest that one call to Elasticsearch may take, within the read's own time.
pub const ELASTICSEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that a read queues before its calls to Elasticsearch.
pub const MAX_QUEUE_TIME: Duration = Duration::from_secs(1);
/// Reads that may queue for each that calls Elasticsearch.
pub const QUEUED_PER_CALLER: usize = 8;
/// The number of latest calls of which half have to fail to connect before Elasticsearch is left
/// alone.
pub const CIRCUIT_SAMPLE: usize = 20;
/// How long no call is made then.
pub const CIRCUIT_OPEN_TIME: Duration = Duration::from_millis(500);
/// How many calls are made after that, to see whether it can be reached again.
pub const CIRCUIT_TRIAL: usize = 3;

/// The longest that one reading of the lane heads from PostgreSQL may take.
pub const LANE_HEADS_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest that PostgreSQL may take to say whether an entry of a tidemark exists.
pub const ENTRY_CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of waiting reads of which one may carry a foreign tidemark.
pub const WAITING_PER_FOREIGN: usize = 16;
/// Between two real-time gets of a read that waits, at least.
pub const MIN_GET_INTERVAL: Duration = Duration::from_millis(100);
/// Real-time gets of all reads that wait, together.
pub const MAX_GETS_PER_SECOND: u32 = 100;

/// How long the pages of a list are read from one point in time, used or not.
pub const MAX_POINT_AGE: Duration = Duration::from_secs(5 * 60);
/// How long new lists begin in the same point in time, which leaves their later pages the rest.
pub const SHARED_POINT_AGE: Duration = Duration::from_secs(60);
/// Between the openings of two points in time for one index, at least.
pub const POINT_INTERVAL: Duration = Duration::from_secs(1);
/// Points in time that are open for one index.
pub const MAX_POINTS: usize = 60;
/// How long a point in time of the category tree outlives its last use, if it cannot be closed.
pub const TREE_POINT_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Between two questions for the epoch, which tell that the history has changed.
pub const EPOCH_INTERVAL: Duration = Duration::from_secs(2);
/// The longest that one of them may take.
pub const EPOCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two pings of Elasticsearch, which only `/readyz` tells of.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);
pub const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at whether this replica is ready.
pub const READINESS_INTERVAL: Duration = Duration::from_secs(1);
/// After so long without a record, a replica that others have overtaken is cut off: a projector
/// publishes every second.
pub const CUT_OFF_AFTER: Duration = Duration::from_secs(10);
/// Between two updates of the gauges.
pub const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// The read side of Tidemark: search, pages and listings at least as fresh as you have seen.
#[derive(Debug, Clone, clap::Parser)]
#[command(version, about)]
pub struct QueryArgs {
    #[command(flatten)]
    pub http: HttpArgs,
    /// The role needs to read the event log, and nothing else.
    #[command(flatten)]
    pub postgres: PostgresArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub elasticsearch: ElasticsearchArgs,
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// Requests to Elasticsearch under way at most; more queue for at most a second.
    #[arg(long, env = "ELASTICSEARCH_CONCURRENCY", default_value_t = 32 * cores())]
    pub elasticsearch_concurrency: usize,
    /// Reads that may wait at once for what they need to become visible.
    #[arg(long, env = "MAX_WAITING", default_value_t = 8192)]
    pub max_waiting: usize,
}
