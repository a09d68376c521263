//! Price changes as a client asks for them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::prelude::*;
use rand::rngs::StdRng;
use schemas::id::ProductId;

use super::super::instance::{Instance, http, metric};
use super::super::load::{Load, Until, closed_loop};
use super::super::prices::Prices;
use super::super::workload::Commands;
use crate::service::Service;

const LAG: &str = "tidemark_relay_lag_events";
const RELAYED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Rest {
    prices: Prices,
    url: String,
    ids: Vec<ProductId>,
    clients: usize,
    seed: u64,
}

impl Rest {
    pub fn open(instance: &Instance, ids: Vec<ProductId>, workload: &Commands) -> Result<Self> {
        Ok(Self {
            prices: Prices::open(instance)?,
            url: instance.url(Service::CommandSvc)?.to_owned(),
            ids,
            clients: workload.clients,
            seed: workload.seed,
        })
    }

    pub async fn change_prices(&self, until: Until) -> Result<Load> {
        closed_loop(self.clients, until, async |_, number| {
            self.change_price(number).await
        })
        .await
    }

    async fn change_price(&self, number: u64) -> Result<()> {
        let (product, amount) = change(self.seed, number, self.ids.len());
        self.prices
            .change(self.ids[product], amount)
            .await
            .map(drop)
    }

    /// Waits until Kafka has all that was committed.
    pub async fn relayed(&self) -> Result<()> {
        let http = http()?;
        let deadline = Instant::now() + RELAYED_WITHIN;
        loop {
            let lag = metric(&http, &self.url, LAG).await?;
            if lag == 0.0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the relay is {lag} events behind"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Which product gets which price; hardly ever the one that it has.
pub(super) fn change(seed: u64, number: u64, products: usize) -> (usize, i64) {
    let mut random = StdRng::seed_from_u64(seed ^ number);
    (
        random.random_range(0..products),
        random.random_range(1..10_000_000),
    )
}
