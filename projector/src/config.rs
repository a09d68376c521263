//! What limits the projector: its options, as `--help` shows them, and the limits that are fixed.

use std::time::Duration;

use chassis::config::{
    ElasticsearchArgs, HttpArgs, KafkaArgs, LogArgs, NamespaceArgs, PostgresArgs,
};
use chrono::TimeDelta;
use clap::Parser;

/// Where operators expect the projector.
pub const DEFAULT_PORT: u16 = 8083;

// Events.

/// One question to Kafka for the partitions of the events topic.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two of them.
pub const METADATA_INTERVAL: Duration = Duration::from_secs(5);
/// Records read from Kafka that no cycle has taken. With more, reading pauses.
pub const MAX_GATHERED_RECORDS: usize = 20_000;
/// The same in bytes.
pub const MAX_GATHERED_BYTES: usize = 32 * 1024 * 1024;
/// Records that are handed to the builds at once.
pub const MAX_DISTRIBUTED_RECORDS: usize = 2_000;
/// The same in bytes.
pub const MAX_DISTRIBUTED_BYTES: usize = 8 * 1024 * 1024;
/// Records that wait for one build, in memory.
pub const MAX_INBOX_RECORDS: usize = 8_000;
/// The same in bytes.
pub const MAX_INBOX_BYTES: usize = 16 * 1024 * 1024;
/// A build that has taken nothing for longer does not hold the others back.
pub const MAX_INBOX_HOLD: Duration = Duration::from_secs(1);
/// How long a head may be ahead of what Kafka has brought before the event table is read.
pub const MAX_SILENCE: Duration = Duration::from_secs(1);
/// Entries of one lane that wait behind a gap.
pub const MAX_WAITING_ENTRIES: usize = 1_024;
/// The same in bytes.
pub const MAX_WAITING_BYTES: usize = 1024 * 1024;
/// The last events of a lane whose ids are remembered, which tell another history.
pub const REMEMBERED_EVENTS: usize = 256;

// Batches.

/// Records that a build folds and writes at once.
pub const MAX_BATCH_RECORDS: usize = 2_000;
/// The same in bytes.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How long to wait for more records after the first.
pub const GATHER_TIME: Duration = Duration::from_millis(1);
/// The fewest records that are written while a refresh runs. Fewer wait for its end: they would not
/// become visible earlier, and each bulk slows the refresh.
pub const MIN_BATCH_DURING_REFRESH: usize = 200;
/// The same in bytes.
pub const MIN_BATCH_BYTES_DURING_REFRESH: usize = 512 * 1024;
/// How long a build or the cycle sleeps where nothing wakes it.
pub const IDLE_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of one bulk of events that follow the log.
pub const LIVE_BULK_BYTES: usize = 8 * 1024 * 1024;
/// Documents that are read from Elasticsearch by one request.
pub const DOCUMENTS_PER_READ: usize = 500;
/// What they take as JSON, about.
pub const DOCUMENT_BYTES_PER_READ: usize = 4 * 1024 * 1024;
/// Documents that are asked for first, while nothing is known of their size, and at least.
pub const FIRST_DOCUMENTS: usize = 16;
/// What the documents that are read for a batch take as JSON. What needs more comes after they are
/// written.
pub const MAX_READ_BYTES: usize = 16 * 1024 * 1024;
/// Documents that broadcasts change which are in memory at once.
pub const MAX_AUDIENCE: usize = 2_000;
/// What a build's cache keeps also where others have used up the budget.
pub const MIN_CACHE_BYTES: usize = 256 * 1024;

// Refreshes.

/// Between refreshes of a build that is being filled and not read yet: they only show its progress.
pub const UNREAD_REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// A build that is more events behind is refreshed less often: nobody waits for events that old.
pub const FAR_BEHIND_EVENTS: u64 = 2_000;
/// Between refreshes of a build that is far behind.
pub const FAR_BEHIND_REFRESH_INTERVAL: Duration = Duration::from_secs(1);

// Fills.

/// Lanes filled at once, of all builds.
pub const LANES_FILLED_AT_ONCE: usize = 6;
/// The same of one build, so that a small one need not wait for all of a large one.
pub const LANES_OF_ONE_BUILD_FILLED_AT_ONCE: usize = 4;
/// Bytes of one bulk. Larger ones would be no faster, and would delay those of the live cycle.
pub const FILL_BULK_BYTES: usize = 2 * 1024 * 1024;
/// Bulks of one lane that are not settled.
pub const BULKS_OF_ONE_LANE: usize = 2;
/// How long a bulk of a fill is tried again before it leaves its place in flight to others.
pub const FILL_RETRY_BUDGET: Duration = Duration::from_secs(1);
/// Broadcasts of a lane that are kept in memory; they are rare. A lane with more is filled in the
/// order of its log.
pub const MAX_BROADCAST_BYTES: usize = 4 * 1024 * 1024;
/// Rows of one page of the event table.
pub const MAX_PAGE_ROWS: usize = 4_000;
/// How many of them each lane may have at least.
pub const MIN_PAGE_ROWS_OF_A_LANE: usize = 32;
/// Rows that are asked for first, while nothing is known of their size.
pub const FIRST_ROWS: usize = 16;
/// How many times more are asked for than came so far.
pub const ROWS_GROWTH: usize = 4;
/// Reports of a fill that its build has not taken.
pub const MAX_FILL_REPORTS: usize = 64;

// Watermarks and checkpoints.

/// Between two looks at what is due, where nothing wakes them.
pub const WATERMARK_INTERVAL: Duration = Duration::from_millis(100);
/// Between two records of a lane where nothing moves. Readers count on one a second.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(900);
/// Between two records of a lane whose events changed no document of the view.
pub const UNCHANGED_INTERVAL: Duration = Duration::from_millis(200);
/// The longest that Kafka may take to acknowledge a record.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Records that Kafka has not acknowledged.
pub const MAX_RECORDS_IN_FLIGHT: usize = 256;
/// Between two writes of checkpoints.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

// Builds.

/// Between two looks for a step to take, where nothing wakes them.
pub const STEP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a step that was taken may take to show in the watermark topic.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks whether the indexes of the builds are still there.
pub const INSPECTION_INTERVAL: Duration = Duration::from_secs(5);
/// A build of which no record was published for longer is fed by nobody.
pub const FORSAKEN_AFTER: Duration = Duration::from_secs(60);
/// A build that is behind, and of which nothing has moved for longer although all servers answer, is
/// stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(10);
/// Between two looks whether builds move.
pub const STUCK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a retired build is kept for the readers that are still in it.
pub const REMOVE_AFTER: Duration = Duration::from_secs(120);

// Lag.

/// Between two readings of the lane heads.
pub const HEADS_INTERVAL: Duration = Duration::from_millis(500);
/// One reading of them.
pub const HEADS_TIMEOUT: Duration = Duration::from_secs(3);
/// One reading of when the first events that are not visible were recorded.
pub const RECORDED_AT_TIMEOUT: Duration = Duration::from_secs(3);
/// Lane heads that were read longer ago are not known any longer.
pub const HEADS_KNOWN_FOR: TimeDelta = TimeDelta::seconds(3);
/// A lane that is behind and does not move for longer is stalled.
pub const STALLED_AFTER: TimeDelta = TimeDelta::seconds(5);

// Servers.

/// The longest that one call to Elasticsearch may take.
pub const ELASTICSEARCH_TIMEOUT: Duration = Duration::from_secs(15);
/// Pauses between the tries of one request to Elasticsearch grow from this …
pub const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(50);
/// … to this.
pub const MAX_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Between two pings of Elasticsearch, which only `/readyz` tells of.
pub const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long a denial counts. Longer than the longest pause between two tries: denials that go on
/// are one outage.
pub const DENIAL_LASTS: Duration = Duration::from_secs(10);
/// How long a point in time outlives its last use.
pub const POINT_KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Documents of one page of a scan.
pub const SCAN_PAGE: usize = 1_000;
/// Waiting for a connection to PostgreSQL.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// One statement. PostgreSQL itself ends those of the reader's session after 5 s.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(6);
/// How long the watermark topic is read at the start before the log tells that it takes long.
pub const TAIL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a dead letter may take to be recorded, all tries together.
pub const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(120);
/// Dead letters that are listed.
pub const MAX_LISTED_DEAD_LETTERS: usize = 1_000;

/// Projects events into views that can be searched, and says how far they are.
#[derive(Debug, Clone, Parser)]
#[command(name = "projector", version)]
pub struct ProjectorArgs {
    #[command(flatten)]
    pub http: HttpArgs,
    #[command(flatten)]
    pub postgres: PostgresArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub elasticsearch: ElasticsearchArgs,
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// Mebibytes of documents kept in memory, as JSON; they take about three times as much.
    #[arg(long, env = "CACHE_MEBIBYTES", default_value_t = 64)]
    pub cache_mebibytes: usize,
    /// Bulks in flight at once of all builds that are filled.
    #[arg(long, env = "FILL_BULKS", default_value_t = 3,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=16))]
    pub fill_bulks: usize,
    /// Seconds that a write to Elasticsearch is tried again before its lanes go back to their
    /// checkpoints.
    #[arg(long, env = "RETRY_BUDGET_SECONDS", default_value_t = 30)]
    pub retry_budget_seconds: u64,
}

impl ProjectorArgs {
    pub fn retry_budget(&self) -> Duration {
        Duration::from_secs(self.retry_budget_seconds)
    }

    pub fn cache_bytes(&self) -> usize {
        self.cache_mebibytes.saturating_mul(1024 * 1024)
    }
}
