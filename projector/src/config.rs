//! What the projector can be told: `--help` is the manual.

use std::time::Duration;

use chassis::config::{
    ElasticsearchArgs, HttpArgs, KafkaArgs, LogArgs, NamespaceArgs, PostgresArgs,
};
use clap::Parser;

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
    /// Bulks in flight at once while a build is filled.
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
