//! The floor below the views: Elasticsearch, asked straight and read no further than it must be.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::instance;

/// Settings of an index that a new one gets anew.
const OWN_SETTINGS: [&str; 6] = [
    "uuid",
    "creation_date",
    "provided_name",
    "version",
    "resize",
    "routing",
];
const PAGE: usize = 2_000;

#[derive(Debug, Clone)]
pub(super) struct Elastic {
    http: reqwest::Client,
    url: String,
}

/// A document as it lies in an index.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(rename = "_source")]
    pub source: Box<RawValue>,
    #[serde(default)]
    sort: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Page {
    hits: Hits,
}

#[derive(Debug, Deserialize)]
struct Hits {
    hits: Vec<Stored>,
}

impl Elastic {
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            http: instance::http()?,
            url: url.to_owned(),
        })
    }

    /// Reads the answer to its end; anything but success is an error.
    pub async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("content-type", "application/x-ndjson")
            .body(body);
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.bytes().await?;
        ensure!(
            status.is_success(),
            "{path}: {status}: {}",
            String::from_utf8_lossy(&text)
        );
        Ok(text)
    }

    pub async fn search(&self, index: &str, body: Bytes) -> Result<Bytes> {
        let path = format!("/{index}/_search?allow_partial_search_results=false");
        self.ask(Method::POST, &path, body).await
    }

    pub async fn refresh(&self, index: &str) -> Result<()> {
        let path = format!("/{index}/_refresh");
        self.ask(Method::POST, &path, Bytes::new()).await.map(drop)
    }

    /// All of a bulk must be written.
    pub async fn bulk(&self, ndjson: Bytes) -> Result<()> {
        let answer = self
            .ask(Method::POST, "/_bulk?filter_path=errors", ndjson)
            .await?;
        ensure!(
            &answer[..] == br#"{"errors":false}"#,
            "elasticsearch refused documents"
        );
        Ok(())
    }

    /// Makes an empty index with the settings and mappings of another.
    pub async fn create_like(&self, model: &str, index: &str) -> Result<()> {
        let answer = self
            .ask(Method::GET, &format!("/{model}"), Bytes::new())
            .await?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let model = answer[model].take();
        let mut settings = model["settings"]["index"].clone();
        let own = settings
            .as_object_mut()
            .context("an index without settings")?;
        for name in OWN_SETTINGS {
            own.remove(name);
        }
        let body = json!({"settings": settings, "mappings": model["mappings"]});
        let body = Bytes::from(serde_json::to_vec(&body)?);
        self.ask(Method::PUT, &format!("/{index}"), body)
            .await
            .map(drop)
    }

    /// Removes an index, which need not be there.
    pub async fn delete(&self, index: &str) -> Result<()> {
        let url = format!("{}/{index}", self.url);
        let answer = self.http.delete(url).send().await?;
        let gone = answer.status() == StatusCode::NOT_FOUND;
        ensure!(
            gone || answer.status().is_success(),
            "{index} is not removed"
        );
        Ok(())
    }

    /// Every document of an index whose documents have this unique field.
    pub async fn documents(&self, index: &str, unique: &str) -> Result<Vec<Stored>> {
        let mut documents: Vec<Stored> = Vec::new();
        loop {
            let mut body = json!({
                "size": PAGE,
                "track_total_hits": false,
                "query": {"match_all": {}},
                "sort": [{unique: "asc"}],
            });
            if let Some(last) = documents.last() {
                body["search_after"] = last.sort.clone().into();
            }
            let answer = self
                .search(index, serde_json::to_vec(&body)?.into())
                .await?;
            let page: Page = serde_json::from_slice(&answer)?;
            if page.hits.hits.is_empty() {
                return Ok(documents);
            }
            documents.extend(page.hits.hits);
        }
    }

    /// Sends bulks, this number at a time.
    pub async fn bulks(&self, bulks: &[Bytes], in_flight: usize) -> Result<()> {
        let sent = bulks.iter().map(|bulk| self.bulk(bulk.clone()));
        stream::iter(sent)
            .buffer_unordered(in_flight)
            .try_collect()
            .await
    }
}

/// The documents as bodies of bulks.
pub(super) fn to_bulks(documents: &[Stored], index: &str, size: usize) -> Result<Vec<Bytes>> {
    let bulk = |documents: &[Stored]| -> Result<Bytes> {
        let mut body = Vec::new();
        for document in documents {
            let action = json!({"index": {"_index": index, "_id": document.id}});
            serde_json::to_writer(&mut body, &action)?;
            body.push(b'\n');
            body.extend_from_slice(document.source.get().as_bytes());
            body.push(b'\n');
        }
        Ok(body.into())
    };
    documents.chunks(size.max(1)).map(bulk).collect()
}
