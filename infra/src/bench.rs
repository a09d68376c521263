//! Benches: programs with committed workloads that measure a throw-away Tidemark and its floor.
//!
//! The floor is the same work done straight on the server below, by the same clients. Both take
//! turns in one run (A B A B), so that whatever else the machine does meets both. A bench reports;
//! it never fails for being slow.

use anyhow::Result;

pub mod options;

mod catalogue;
mod commands;
mod elastic;
mod import;
mod imports;
mod instance;
mod load;
mod prices;
mod replay;
mod report;
mod search;
mod visibility;
mod waiting;
mod workload;

use options::{Options, What};
use report::Report;

/// Measures one thing.
pub async fn run(options: &Options) -> Result<Report> {
    match options.what {
        What::Commands => commands::run(options).await,
        What::Import => imports::run(options).await,
        What::Replay => replay::run(options).await,
        What::Search => search::run(options).await,
        What::Visibility => visibility::run(options).await,
        What::Waiting => waiting::run(options).await,
    }
}
