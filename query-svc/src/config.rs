//! Options of query-svc: flag, variable and default, as `--help` shows them.

use chassis::config::{
    ElasticsearchArgs, HttpArgs, KafkaArgs, KeyArgs, LogArgs, NamespaceArgs, PostgresArgs, cores,
};

use crate::freshness::Bounds;

/// Where clients expect the read side.
pub const DEFAULT_PORT: u16 = 8082;

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

impl QueryArgs {
    pub fn bounds(&self) -> Bounds {
        Bounds {
            asking: self.elasticsearch_concurrency,
            waiting: self.max_waiting,
        }
    }
}
