//! The replica that is waited at: what it tells of itself, and reads that need not wait.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::super::instance::{http, metric};
use super::super::load::{Load, open_loop};

const ARRIVED_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Replica {
    http: reqwest::Client,
    url: String,
}

impl Replica {
    pub fn new(url: &str) -> Result<Self> {
        let (http, url) = (http()?, url.to_owned());
        Ok(Self { http, url })
    }

    /// Searches without a tidemark, at fixed times.
    pub async fn reads(&self, per_second: u32, lasting: Duration) -> Result<Load> {
        open_loop(per_second, lasting, async |number, _| {
            let url = format!("{}/v1/products?min_price={number}&limit=10", self.url);
            let answer = self.http.get(url).send().await?;
            let (status, text) = (answer.status(), answer.bytes().await?);
            ensure!(
                status == 200,
                "search: {status}: {}",
                String::from_utf8_lossy(&text)
            );
            Ok(())
        })
        .await
    }

    pub async fn until_waiting(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + ARRIVED_WITHIN;
        loop {
            let waiting = self.waiting().await?;
            if waiting == count {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{waiting} of {count} clients wait after {ARRIVED_WITHIN:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn waiting(&self) -> Result<usize> {
        let waiting = metric(&self.http, &self.url, "tidemark_reads_waiting").await?;
        Ok(waiting as usize)
    }

    /// What it takes of a core, over a while.
    pub async fn cpu(&self, lasting: Duration) -> Result<f64> {
        let used = || metric(&self.http, &self.url, "process_cpu_seconds_total");
        let (before, started) = (used().await?, Instant::now());
        tokio::time::sleep(lasting).await;
        Ok((used().await? - before) / started.elapsed().as_secs_f64())
    }
}
