//! The clients that wait: each reads a product whose last change is not shown.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::stream::{FuturesUnordered, StreamExt};
use reqwest::header::HeaderValue;
use schemas::id::ProductId;
use tokio::time::Instant;

use super::super::instance::{Instance, http};
use super::super::load::Failures;
use super::super::prices::Prices;
use super::super::workload::Waiting;
use crate::operation::rest::TIDEMARK;
use crate::service::Service;

/// The longest wait that is granted.
const WAIT: &str = "wait=5";
/// An answer that comes earlier did not wait as long as was asked.
const PATIENCE: Duration = Duration::from_millis(4_900);
/// Clients that send their request before the next pause.
const AT_ONCE: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Crowd {
    prices: Prices,
    http: reqwest::Client,
    url: String,
    products: Vec<ProductId>,
    tidemarks: Vec<HeaderValue>,
    size: usize,
    amount: i64,
}

impl Crowd {
    pub fn open(instance: &Instance, products: &[ProductId], workload: &Waiting) -> Result<Self> {
        Ok(Self {
            prices: Prices::open(instance)?,
            http: http()?,
            url: format!("{}/v1/products", instance.url(Service::QuerySvc)?),
            products: products.to_vec(),
            tidemarks: Vec::new(),
            size: workload.waiters,
            amount: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.size
    }

    /// Makes the changes that are waited for.
    pub async fn change_prices(&mut self) -> Result<()> {
        self.amount += 1;
        self.tidemarks.clear();
        for product in &self.products {
            let tidemark = self.prices.change(*product, self.amount).await?;
            self.tidemarks.push(tidemark);
        }
        Ok(())
    }

    /// All of them ask, and are told to come back after a while; everything else is a failure.
    pub async fn wait(&self) -> Failures {
        let mut waiting = FuturesUnordered::new();
        let mut failures = Failures::default();
        for number in 0..self.size {
            waiting.push(self.ask(number));
            if number % AT_ONCE == 0 {
                let pause = tokio::time::sleep(PAUSE);
                tokio::pin!(pause);
                while let Some(answer) = tokio::select! {
                    () = &mut pause => None,
                    answer = waiting.next() => answer,
                } {
                    note(answer, &mut failures);
                }
            }
        }
        while let Some(answer) = waiting.next().await {
            note(answer, &mut failures);
        }
        failures
    }

    async fn ask(&self, number: usize) -> Result<()> {
        let changed = number % self.products.len();
        // An id or a search, for each of the products.
        let url = if (number / self.products.len()).is_multiple_of(2) {
            format!("{}/{}", self.url, self.products[changed])
        } else {
            format!("{}?max_price={}&limit=1", self.url, self.amount)
        };
        let asked = Instant::now();
        let request = self.http.get(url).header("prefer", WAIT);
        let request = request.header(TIDEMARK, &self.tidemarks[changed]);
        let answer = request.send().await.context("waiting for an answer")?;
        let (status, waited) = (answer.status(), asked.elapsed());
        let text = answer.bytes().await?;
        // All are told to come back at the same time: some because too many look once more.
        let is_told = status == 503 || status == 429;
        ensure!(
            is_told && waited >= PATIENCE,
            "answered after {waited:?}: {status}: {}",
            String::from_utf8_lossy(&text)
        );
        Ok(())
    }
}

fn note(answer: Result<()>, failures: &mut Failures) {
    if let Err(error) = answer {
        failures.add(error);
    }
}
