//! Workloads: what is asked how often, as committed in `infra/workloads`.
//!
//! A workload and its seed give the same requests in every run.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::options::Options;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commands {
    pub description: String,
    pub seed: u64,
    pub products: usize,
    pub clients: usize,
    /// Each number is a floor of its own, the best of which counts.
    pub floor_connections: Vec<usize>,
    pub warm_up_seconds: u64,
    pub rounds: usize,
    pub round_seconds: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    pub description: String,
    pub seed: u64,
    pub products: usize,
    pub floor_products_per_transaction: usize,
    /// Each number is a floor of its own, the best of which counts.
    pub floor_connections: Vec<usize>,
    /// Whether a projector makes what is imported searchable at the same time.
    pub projector_beside: bool,
    pub warm_up_rounds: usize,
    pub rounds: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    pub description: String,
    pub seed: u64,
    pub products: usize,
    pub floor_documents_per_bulk: usize,
    /// Each number is a floor of its own, the best of which counts.
    pub floor_bulks_in_flight: Vec<usize>,
    pub warm_up_rounds: usize,
    pub rounds: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    pub description: String,
    pub seed: u64,
    pub products: usize,
    pub clients: usize,
    /// Different searches, each asked once a turn.
    pub searches: usize,
    pub shares: Shares,
    pub warm_up_rounds: usize,
    pub rounds: usize,
}

/// How the searches divide into kinds, in any unit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shares {
    pub words: u32,
    pub words_with_typing_error: u32,
    pub words_with_facets: u32,
    pub sku: u32,
    pub category: u32,
    pub category_with_facets: u32,
    pub brand_and_price: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visibility {
    pub description: String,
    pub seed: u64,
    pub products: usize,
    /// Products that the probes change, in turn, and nobody else.
    pub probed_products: usize,
    pub probes_per_second: u32,
    pub background_writes_per_second: Vec<u32>,
    pub warm_up_seconds: u64,
    pub rounds: usize,
    pub round_seconds: u64,
    pub floor_seconds: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    pub description: String,
    pub seed: u64,
    pub products: usize,
    /// Products with a change that is not shown: each waiter waits for one of them.
    pub changed_products: usize,
    /// Half of them read a product by id, the others search.
    pub waiters: usize,
    /// Other reads, that need not wait.
    pub reads_per_second: u32,
    pub warm_up_rounds: usize,
    pub rounds: usize,
    /// For the processor time, and as long again for the other reads.
    pub round_milliseconds: u64,
}

/// The workload that the options name, else the committed one.
fn read<T: DeserializeOwned>(options: &Options, committed: &str) -> Result<T> {
    let Some(path) = &options.workload else {
        return serde_json::from_str(committed).context("the committed workload cannot be read");
    };
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not a workload of this bench", path.display()))
}

fn set<T: Copy>(value: &mut T, option: Option<T>) {
    *value = option.unwrap_or(*value);
}

impl Commands {
    pub fn read(options: &Options) -> Result<Self> {
        let mut workload: Self = read(options, include_str!("../../workloads/commands.json"))?;
        set(&mut workload.products, options.products);
        set(&mut workload.rounds, options.rounds);
        set(&mut workload.round_seconds, options.seconds);
        set(&mut workload.warm_up_seconds, options.warm_up);
        Ok(workload)
    }
}

impl Import {
    pub fn read(options: &Options) -> Result<Self> {
        let mut workload: Self = read(options, include_str!("../../workloads/import.json"))?;
        set(&mut workload.products, options.products);
        set(&mut workload.rounds, options.rounds);
        Ok(workload)
    }
}

impl Replay {
    pub fn read(options: &Options) -> Result<Self> {
        let mut workload: Self = read(options, include_str!("../../workloads/replay.json"))?;
        set(&mut workload.products, options.products);
        set(&mut workload.rounds, options.rounds);
        Ok(workload)
    }
}

impl Search {
    pub fn read(options: &Options) -> Result<Self> {
        let mut workload: Self = read(options, include_str!("../../workloads/search.json"))?;
        set(&mut workload.products, options.products);
        set(&mut workload.rounds, options.rounds);
        Ok(workload)
    }
}

impl Visibility {
    pub fn read(options: &Options) -> Result<Self> {
        let mut workload: Self = read(options, include_str!("../../workloads/visibility.json"))?;
        set(&mut workload.products, options.products);
        set(&mut workload.rounds, options.rounds);
        set(&mut workload.round_seconds, options.seconds);
        set(&mut workload.warm_up_seconds, options.warm_up);
        Ok(workload)
    }
}

impl Waiting {
    pub fn read(options: &Options) -> Result<Self> {
        let mut workload: Self = read(options, include_str!("../../workloads/waiting.json"))?;
        set(&mut workload.products, options.products);
        set(&mut workload.rounds, options.rounds);
        Ok(workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(products: Option<usize>) -> Options {
        Options {
            what: super::super::options::What::Commands,
            json: false,
            workload: None,
            catalogue: None,
            products,
            rounds: None,
            seconds: None,
            warm_up: None,
            programs: None,
            shared: false,
        }
    }

    #[test]
    fn every_committed_workload_can_be_read() {
        let options = options(None);
        assert!(Commands::read(&options).is_ok());
        assert!(Import::read(&options).is_ok());
        assert!(Replay::read(&options).is_ok());
        assert!(Search::read(&options).is_ok());
        assert!(Visibility::read(&options).is_ok());
        assert!(Waiting::read(&options).is_ok());
    }

    #[test]
    fn an_option_replaces_what_the_workload_says() {
        assert_eq!(Replay::read(&options(Some(7))).unwrap().products, 7);
    }
}
