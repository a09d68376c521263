//! Reading documents back: as last written by id, and page by page for a whole field.

use std::sync::Arc;

use bytes::Bytes;
use chassis::clock::Deadline;
use chassis::elasticsearch::{ElasticsearchError, Hit, SearchOptions};
use chassis::retry::Backoff;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Found, Portion, Sink, SinkError};
use crate::config::{FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE, POINT_KEEP_ALIVE, SCAN_PAGE};

/// The documents that matched a query at one point in time.
#[derive(Debug)]
pub struct Pages {
    sink: Sink,
    index: Arc<str>,
    query: Value,
    point_in_time: String,
    after: Option<Vec<Value>>,
    portion: Portion,
    ended: bool,
}

impl Sink {
    /// Documents as last written, refreshed or not; one for each id, in order.
    pub async fn read(&self, index: &str, ids: &[Uuid]) -> Result<Vec<Option<Found>>, SinkError> {
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        self.persist(|| self.elasticsearch.mget(index, &ids)).await
    }

    /// The ids of the documents that match, as of the last refresh. None where there are more than
    /// `limit`.
    pub async fn few(
        &self,
        index: &str,
        query: &Value,
        limit: usize,
    ) -> Result<Option<Vec<Uuid>>, SinkError> {
        let body = json!({
            "size": limit + 1,
            "query": query,
            "track_total_hits": false,
            "_source": false,
        });
        let body = Bytes::from(body.to_string());
        let options = SearchOptions::default();
        let search = || {
            self.elasticsearch
                .search(Some(index), body.clone(), &options)
        };
        let hits = self.persist(search).await?.hits.hits;
        let ids = || hits.iter().filter_map(|hit| hit.id.parse().ok()).collect();
        Ok((hits.len() <= limit).then(ids))
    }

    /// All documents of an index that match, as of now.
    pub async fn pages(&self, index: &Arc<str>, query: Value) -> Result<Pages, SinkError> {
        let open = || self.elasticsearch.open_pit(index, POINT_KEEP_ALIVE, None);
        let point_in_time = self.persist(open).await?;
        Ok(Pages {
            sink: self.clone(),
            index: Arc::clone(index),
            query,
            point_in_time,
            after: None,
            portion: Portion::default(),
            ended: false,
        })
    }

    /// Tries again, within the budget, what may pass.
    async fn persist<T, F: Future<Output = Result<T, ElasticsearchError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, SinkError> {
        let deadline = Deadline::within(self.budget);
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE);
        loop {
            match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() => {
                    self.pause(&mut backoff, deadline, Some(error)).await?;
                }
                Err(error) if error.is_not_found() => return Err(SinkError::Missing(error)),
                Err(error) => return Err(SinkError::Refused(error)),
            }
        }
    }
}

impl Pages {
    /// The next page; none after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Found>>, SinkError> {
        if self.ended {
            return Ok(None);
        }
        let size = self.portion.next(SCAN_PAGE);
        let body = self.body(size);
        let options = SearchOptions::default();
        let search = || self.sink.elasticsearch.search(None, body.clone(), &options);
        let answer = self.sink.persist(search).await?;
        if let Some(id) = answer.pit_id {
            self.point_in_time = id;
        }
        let hits = answer.hits.hits;
        self.ended = hits.len() < size;
        self.after = hits.last().map(|hit| hit.sort.clone());
        let found: Vec<Found> = hits.into_iter().filter_map(found).collect();
        self.portion
            .came(found.iter().map(|found| found.source.get().len()));
        Ok(Some(found))
    }

    /// Frees the point in time; it would end by itself.
    pub async fn close(self) {
        if let Err(error) = self.sink.elasticsearch.close_pit(&self.point_in_time).await {
            tracing::debug!(index = %self.index, %error, "failed to close a point in time");
        }
    }

    fn body(&self, size: usize) -> Bytes {
        let keep_alive = format!("{}s", POINT_KEEP_ALIVE.as_secs());
        let mut body = json!({
            "size": size,
            "pit": {"id": self.point_in_time, "keep_alive": keep_alive},
            "query": self.query,
            "sort": [{"_shard_doc": "asc"}],
            "track_total_hits": false,
            "version": true,
        });
        if let Some(after) = &self.after {
            body["search_after"] = json!(after);
        }
        body.to_string().into()
    }
}

fn found(hit: Hit) -> Option<Found> {
    Some(Found {
        id: hit.id,
        version: hit.version?,
        revision: None,
        source: hit.source?,
    })
}
