//! The one way to Elasticsearch: every call has a time-out, every error one of a few meanings.
//!
//! HTTP 200 is not success: bulks carry an outcome per item, searches may have timed out or lost
//! shards. Nothing is retried here; the callers know what a retry is worth. Calls run on the
//! runtime that made the client, so that no HTTP worker owns another's connections.

use std::time::Duration;

use ::elasticsearch::http::Method;
use ::elasticsearch::http::transport::Transport;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Deadline;
use crate::config::{ElasticsearchAccessArgs, ElasticsearchArgs};

mod access;
mod answers;
mod call;
mod error;
mod indices;

pub use access::SetupError;
pub use answers::{
    BulkItem, CreatedIndex, Found, Hit, ItemError, Revision, SearchAnswer, ShardCopies,
    ShardCounts, Total,
};
pub use error::ElasticsearchError;
pub use indices::Described;

use answers::{BulkAnswer, CountAnswer, MgetAnswer, MsearchAnswer, PitAnswer, RefreshAnswer};
use call::{Call, JSON, NDJSON};

/// Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Elasticsearch {
    transport: Transport,
    runtime: Handle,
    timeout: Duration,
}

/// What a search asks beside its body.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Requests with the same text go to the same copies. Not with a point in time.
    pub preference: Option<String>,
}

impl Elasticsearch {
    /// Nodes on a trusted network, comma-separated, which ask nobody who they are.
    pub fn new(urls: &str, timeout: Duration) -> Result<Self, SetupError> {
        let args = ElasticsearchArgs {
            url: urls.to_owned(),
            access: ElasticsearchAccessArgs::default(),
        };
        Self::connect(&args, timeout)
    }

    /// The nodes are used in turn. Must be called on the shared runtime.
    pub fn connect(args: &ElasticsearchArgs, timeout: Duration) -> Result<Self, SetupError> {
        Ok(Self {
            transport: access::transport(args, timeout)?,
            runtime: Handle::current(),
            timeout,
        })
    }

    /// The same client with another time-out.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The same client, whose calls end by the deadline, if not by their own time-out before.
    #[must_use]
    pub fn within(&self, deadline: Deadline) -> Self {
        self.with_timeout(self.timeout.min(deadline.remaining()))
    }

    /// Writes many documents, of any indexes. One item per operation, in order.
    pub async fn bulk(&self, ndjson: Bytes) -> Result<Vec<BulkItem>, ElasticsearchError> {
        let query = [("filter_path", "items.*.status,items.*.error")];
        let call = Call::new("bulk", Method::Post, "/_bulk")
            .query(&query)
            .body(NDJSON, ndjson);
        let answer: BulkAnswer = self.read(call).await?;
        Ok(answer
            .items
            .into_iter()
            .flat_map(std::collections::BTreeMap::into_values)
            .collect())
    }

    /// Makes all that was acknowledged before visible to search, in whole indexes.
    pub async fn refresh(&self, indexes: &[&str]) -> Result<ShardCounts, ElasticsearchError> {
        let path = format!("/{}/_refresh", indexes.join(","));
        let answer: RefreshAnswer = self.read(Call::new("refresh", Method::Post, path)).await?;
        Ok(answer.shards)
    }

    /// Reads documents as last written, refreshed or not. One for each id, in order.
    pub async fn mget(
        &self,
        index: &str,
        ids: &[String],
    ) -> Result<Vec<Option<Found>>, ElasticsearchError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let call = Call::new("mget", Method::Post, format!("/{index}/_mget"));
        let answer: MgetAnswer = self.read(call.json(&json!({ "ids": ids }))).await?;
        answer
            .docs
            .into_iter()
            .map(|doc| doc.into_found("mget"))
            .collect()
    }

    /// Reads a document as last written, refreshed or not.
    pub async fn get(&self, index: &str, id: &str) -> Result<Option<Found>, ElasticsearchError> {
        let ids = [id.to_owned()];
        Ok(self.mget(index, &ids).await?.into_iter().next().flatten())
    }

    /// Searches an index or, with none, the point in time that the body names. All or nothing: a
    /// search that timed out or missed a shard is an error.
    pub async fn search(
        &self,
        index: Option<&str>,
        body: Bytes,
        options: &SearchOptions,
    ) -> Result<SearchAnswer, ElasticsearchError> {
        let path = index.map_or_else(
            || "/_search".to_owned(),
            |index| format!("/{index}/_search"),
        );
        let mut query = vec![("allow_partial_search_results", "false")];
        query.extend(
            options
                .preference
                .as_deref()
                .map(|preference| ("preference", preference)),
        );
        let call = Call::new("search", Method::Post, path)
            .query(&query)
            .body(JSON, body);
        let answer: SearchAnswer = self.read(call).await?;
        answer.complete("search")
    }

    /// Several searches in one request: headers and bodies in turn. One outcome each, in order.
    pub async fn msearch(
        &self,
        ndjson: Bytes,
    ) -> Result<Vec<Result<SearchAnswer, ElasticsearchError>>, ElasticsearchError> {
        let call = Call::new("msearch", Method::Post, "/_msearch").body(NDJSON, ndjson);
        let answer: MsearchAnswer = self.read(call).await?;
        Ok(answer
            .responses
            .into_iter()
            .map(answers::MsearchItem::into_answer)
            .collect())
    }

    /// How many documents match; all without a query.
    pub async fn count(&self, index: &str, body: Option<Bytes>) -> Result<u64, ElasticsearchError> {
        let call = Call::new("count", Method::Post, format!("/{index}/_count"));
        let answer: CountAnswer = self.read(call.body(JSON, body.unwrap_or_default())).await?;
        if answer.shards.failed > 0 {
            return Err(ElasticsearchError::incomplete(
                "count",
                answer.shards.failed,
                false,
            ));
        }
        Ok(answer.count)
    }

    /// Opens a point in time, kept alive for so long after each use.
    pub async fn open_pit(
        &self,
        index: &str,
        keep_alive: Duration,
        preference: Option<&str>,
    ) -> Result<String, ElasticsearchError> {
        let keep_alive = format!("{}s", keep_alive.as_secs().max(1));
        let mut query = vec![("keep_alive", keep_alive.as_str())];
        query.extend(preference.map(|preference| ("preference", preference)));
        let call = Call::new("open point in time", Method::Post, format!("/{index}/_pit"));
        let answer: PitAnswer = self.read(call.query(&query)).await?;
        Ok(answer.id)
    }

    /// Closes a point in time; one that is gone is fine.
    pub async fn close_pit(&self, id: &str) -> Result<(), ElasticsearchError> {
        let call = Call::new("close point in time", Method::Delete, "/_pit");
        match self.send(call.json(&json!({ "id": id }))).await {
            Ok(_) | Err(ElasticsearchError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ElasticsearchError> {
        let operation = call.operation;
        let bytes = self.send(call).await?;
        serde_json::from_slice(&bytes)
            .map_err(|source| ElasticsearchError::Unreadable { operation, source })
    }

    async fn send(&self, call: Call<'_>) -> Result<Bytes, ElasticsearchError> {
        let started = crate::clock::instant();
        let operation = call.operation;
        let result = self.exchange(call).await;
        let outcome = result.as_ref().err().map_or("ok", ElasticsearchError::name);
        metrics::histogram!(
            "tidemark_elasticsearch_request_seconds", "operation" => operation, "outcome" => outcome
        )
        .record(started.elapsed().as_secs_f64());
        result
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Bytes, ElasticsearchError> {
        let Call {
            operation,
            method,
            path,
            query,
            content_type,
            body,
        } = call;
        let (transport, timeout) = (self.transport.clone(), self.timeout);
        let query: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let exchange = self.runtime.spawn(async move {
            let body = (!body.is_empty()).then_some(body);
            let headers = call::headers(content_type);
            let response = transport
                .send(method, &path, headers, Some(&query), body, Some(timeout))
                .await?;
            let status = response.status_code().as_u16();
            Ok((status, response.bytes().await?))
        });
        let answered: Result<(u16, Bytes), ::elasticsearch::Error> =
            AbortOnDropHandle::new(exchange)
                .await
                .map_err(|_| ElasticsearchError::aborted(operation))?;
        let (status, bytes) =
            answered.map_err(|source| ElasticsearchError::unreachable(operation, source))?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        Err(ElasticsearchError::of_answer(operation, status, &bytes))
    }
}
