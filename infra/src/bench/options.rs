//! What a bench can be told on the command line; the workload says the rest.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What there is to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Price changes per second over REST; floor: the same statements from raw connections
    Commands,
    /// Products per second of an import; floor: the same rows and events inserted raw
    Import,
    /// Documents per second of a replay; floor: the same documents by bulk
    Replay,
    /// Searches per second; floor: the same bodies straight to Elasticsearch
    Search,
    /// Time from a write to the search that finds it; floor: index, refresh and search
    Visibility,
    /// What thousands of waiting reads cost a replica; floor: the same reads without them
    Waiting,
}

#[derive(Debug, Clone, Args)]
pub struct Options {
    pub what: What,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// Another workload than the committed one, in the same form (infra/workloads)
    #[arg(long, value_name = "FILE")]
    pub workload: Option<PathBuf>,
    /// Products to fill the shop with: NDJSON, gzipped or not; else generated ones
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// How many products to generate
    #[arg(long, conflicts_with = "catalogue")]
    pub products: Option<usize>,
    /// How often Tidemark and floor take turns
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How long each turn takes, where time ends it
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Seconds of warm-up, where time ends it
    #[arg(long)]
    pub warm_up: Option<u64>,
    /// Where the programs of the services are; else they are built first
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
    /// Use the servers of the tests instead of new ones
    #[arg(long)]
    pub shared: bool,
}
