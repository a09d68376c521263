//! Probes, which write and then look for what they wrote, and the writes of others beside them.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::prelude::*;
use rand::rngs::StdRng;
use schemas::id::ProductId;
use serde::Deserialize;
use tokio::time::Instant;

use super::super::instance::{Instance, http};
use super::super::load::{Latencies, Load, open_loop};
use super::super::prices::Prices;
use crate::operation::rest::TIDEMARK;
use crate::service::Service;

/// Above all prices of the catalogue and of the background, so that a probe finds only itself.
pub(super) const FIRST_PROBED_AMOUNT: i64 = 1_000_000_000;
const MOST_OTHER_AMOUNT: i64 = 10_000_000;

#[derive(Debug)]
pub(super) struct Probes {
    prices: Prices,
    http: reqwest::Client,
    searches: String,
    products: Vec<ProductId>,
    next: Cell<usize>,
}

#[derive(Debug)]
pub(super) struct Background {
    prices: Prices,
    products: Vec<ProductId>,
    random: RefCell<StdRng>,
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    id: ProductId,
}

impl Probes {
    pub fn open(instance: &Instance, products: &[ProductId]) -> Result<Self> {
        Ok(Self {
            prices: Prices::open(instance)?,
            http: http()?,
            searches: format!("{}/v1/products", instance.url(Service::QuerySvc)?),
            products: products.to_vec(),
            next: Cell::new(0),
        })
    }

    /// Latencies of the load are from the time at which a probe should have been sent; the others
    /// from when its write was acknowledged.
    pub async fn turn(&self, per_second: u32, lasting: Duration) -> Result<(Load, Latencies)> {
        let from_acknowledged = RefCell::new(Latencies::new());
        let load = open_loop(per_second, lasting, async |_, _| {
            let took = self.probe().await?;
            from_acknowledged.borrow_mut().record(took);
            Ok(())
        });
        let load = load.await?;
        Ok((load, from_acknowledged.into_inner()))
    }

    async fn probe(&self) -> Result<Duration> {
        let number = self.next.replace(self.next.get() + 1);
        let product = self.products[number % self.products.len()];
        let amount = FIRST_PROBED_AMOUNT + i64::try_from(number)?;
        let tidemark = self.prices.change(product, amount).await?;
        let acknowledged = Instant::now();
        let url = format!(
            "{}?min_price={amount}&max_price={amount}&limit=1",
            self.searches
        );
        let request = self
            .http
            .get(url)
            .header(TIDEMARK, tidemark)
            .header("prefer", "wait=5");
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.bytes().await?);
        ensure!(
            status == 200,
            "search: {status}: {}",
            String::from_utf8_lossy(&text)
        );
        let page: Page = serde_json::from_slice(&text)?;
        let is_shown = page.items.iter().any(|item| item.id == product);
        ensure!(is_shown, "an answer to a tidemark does not show its write");
        Ok(acknowledged.elapsed())
    }
}

impl Background {
    pub fn open(instance: &Instance, products: &[ProductId], seed: u64) -> Result<Self> {
        Ok(Self {
            prices: Prices::open(instance)?,
            products: products.to_vec(),
            random: RefCell::new(StdRng::seed_from_u64(seed)),
        })
    }

    pub async fn turn(&self, per_second: u32, lasting: Duration) -> Result<Load> {
        open_loop(per_second, lasting, async |_, _| {
            let (product, amount) = {
                let mut random = self.random.borrow_mut();
                let product = self.products[random.random_range(0..self.products.len())];
                (product, random.random_range(1..MOST_OTHER_AMOUNT))
            };
            self.prices.change(product, amount).await.map(drop)
        })
        .await
    }
}
