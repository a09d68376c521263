//! Price changes over REST: the writes of benches.

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderValue;
use schemas::id::ProductId;

use super::instance::{Instance, staff};
use crate::operation::rest::TIDEMARK;
use crate::service::Service;

#[derive(Debug)]
pub(super) struct Prices {
    http: reqwest::Client,
    url: String,
}

impl Prices {
    pub fn open(instance: &Instance) -> Result<Self> {
        Ok(Self {
            http: staff()?,
            url: format!("{}/v1/products", instance.url(Service::CommandSvc)?),
        })
    }

    /// Answers the tidemark of the acknowledgement.
    pub async fn change(&self, product: ProductId, amount: i64) -> Result<HeaderValue> {
        let url = format!("{}/{product}/price", self.url);
        let body = format!(r#"{{"amount":{amount},"currency":"EUR"}}"#);
        let request = self
            .http
            .put(url)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await?;
        let (status, tidemark) = (answer.status(), answer.headers().get(TIDEMARK).cloned());
        let text = answer.bytes().await?;
        ensure!(
            status.is_success(),
            "write: {status}: {}",
            String::from_utf8_lossy(&text)
        );
        tidemark.context("no tidemark was answered")
    }
}
