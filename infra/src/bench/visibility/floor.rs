//! The floor of visibility: index one document, refresh, search for it; straight in Elasticsearch.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use query_svc::search::products::{Start, body};
use query_svc::search::{ProductSearch, Tolerance};
use reqwest::Method;
use serde_json::Value;

use super::super::elastic::{Elastic, to_bulks};
use super::super::load::{Load, open_loop};
use super::super::workload::Visibility;
use super::probe::FIRST_PROBED_AMOUNT;

const DOCUMENTS_PER_BULK: usize = 1_000;

#[derive(Debug)]
pub(super) struct Floor {
    elastic: Elastic,
    index: String,
    per_second: u32,
    /// What is written again and again, with another price.
    documents: Vec<(String, Value)>,
    next: Cell<usize>,
}

impl Floor {
    /// Makes an index like the live one, with the same documents.
    pub async fn open(
        elastic: Elastic,
        live: &str,
        index: &str,
        workload: &Visibility,
    ) -> Result<Self> {
        let stored = elastic.documents(live, "product_id").await?;
        elastic.create_like(live, index).await?;
        elastic
            .bulks(&to_bulks(&stored, index, DOCUMENTS_PER_BULK)?, 1)
            .await?;
        elastic.refresh(index).await?;
        let probed = stored.into_iter().take(workload.probed_products);
        let documents = probed.map(|stored| {
            let source = serde_json::from_str(stored.source.get())?;
            Ok((stored.id, source))
        });
        Ok(Self {
            elastic,
            index: index.to_owned(),
            per_second: workload.probes_per_second,
            documents: documents.collect::<Result<_>>()?,
            next: Cell::new(0),
        })
    }

    pub async fn turn(&self, lasting: Duration) -> Result<Load> {
        open_loop(self.per_second, lasting, async |_, _| self.probe().await).await
    }

    async fn probe(&self) -> Result<()> {
        let number = self.next.replace(self.next.get() + 1);
        let (id, document) = &self.documents[number % self.documents.len()];
        let amount = FIRST_PROBED_AMOUNT + i64::try_from(number)?;
        let mut document = document.clone();
        *document
            .pointer_mut("/price/amount")
            .context("a product without a price")? = amount.into();
        let path = format!("/{}/_doc/{id}", self.index);
        let document = Bytes::from(serde_json::to_vec(&document)?);
        self.elastic.ask(Method::PUT, &path, document).await?;
        self.elastic.refresh(&self.index).await?;
        let answer = self.elastic.search(&self.index, search(amount)?).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        ensure!(
            answer["hits"]["hits"][0]["_id"] == **id,
            "a refresh does not show its document"
        );
        Ok(())
    }

    pub async fn close(&self) -> Result<()> {
        self.elastic.delete(&self.index).await
    }
}

/// The body of a probe's search.
fn search(amount: i64) -> Result<Bytes> {
    let pairs = [
        ("min_price".to_owned(), amount.to_string()),
        ("max_price".to_owned(), amount.to_string()),
        ("limit".to_owned(), "1".to_owned()),
    ];
    match ProductSearch::parse(&pairs) {
        Ok(search) => {
            let body = body(&search, Tolerance::Exact, Start::default());
            Ok(serde_json::to_vec(&body)?.into())
        }
        Err(refused) => bail!("a probe is not a search: {refused:?}"),
    }
}
