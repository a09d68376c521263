//! How handlers read: from the active builds of one snapshot, within the request's deadline.
//!
//! The Elasticsearch client is private to this type, so that a cache or a catch-up read can stand
//! in for it. Reads go to the index of a build, never to an alias.

use std::time::Duration;

use bytes::Bytes;
use chassis::elasticsearch::{
    Elasticsearch, ElasticsearchError, Found, SearchAnswer, SearchOptions,
};
use schemas::id::Epoch;
use schemas::lane::LaneSeqs;
use schemas::view::{View, ViewDocument};
use serde_json::{Value, json};

use super::judge::{ActiveBuild, Snapshot};
use super::need::Need;

#[derive(Debug)]
pub struct Reader<'a> {
    pub(super) elasticsearch: Elasticsearch,
    /// Sends a session's searches to the same shard copies.
    pub(super) affinity: &'a SearchOptions,
    pub(super) need: &'a Need,
    pub(super) snapshot: &'a Snapshot,
}

impl Reader<'_> {
    /// A document as last written.
    pub(super) async fn get(
        &self,
        view: View,
        id: &str,
    ) -> Result<Option<Found>, ElasticsearchError> {
        self.elasticsearch.get(self.index(view), id).await
    }

    /// Documents as last written; ids without a document are left out.
    pub async fn documents<D: ViewDocument>(
        &self,
        view: View,
        ids: &[String],
    ) -> Result<Vec<D>, ElasticsearchError> {
        let found = self.elasticsearch.mget(self.index(view), ids).await?;
        let documents = found.into_iter().flatten();
        documents
            .map(|found| serde_json::from_str(found.source.get()))
            .collect::<Result<_, _>>()
            .map_err(|source| ElasticsearchError::Unreadable {
                operation: "mget",
                source,
            })
    }

    pub async fn search(
        &self,
        view: View,
        body: Bytes,
    ) -> Result<SearchAnswer, ElasticsearchError> {
        let index = Some(self.index(view));
        self.elasticsearch.search(index, body, self.affinity).await
    }

    /// Searches the point in time that the body names, on that point's shard copies.
    pub async fn search_point(&self, body: Bytes) -> Result<SearchAnswer, ElasticsearchError> {
        let options = SearchOptions::default();
        self.elasticsearch.search(None, body, &options).await
    }

    /// Several searches in one request. An error of one is the error of all.
    pub async fn multi_search<const N: usize>(
        &self,
        searches: [(View, &Value); N],
    ) -> Result<[SearchAnswer; N], ElasticsearchError> {
        let mut ndjson = Vec::new();
        for (view, body) in searches {
            let mut header = json!({
                "index": self.index(view),
                "allow_partial_search_results": false,
            });
            if let Some(preference) = &self.affinity.preference {
                header["preference"] = preference.as_str().into();
            }
            for line in [&header, body] {
                serde_json::to_writer(&mut ndjson, line).expect("a body is plain data");
                ndjson.push(b'\n');
            }
        }
        let outcomes = self.elasticsearch.msearch(Bytes::from(ndjson)).await?;
        let answers: Vec<SearchAnswer> = outcomes.into_iter().collect::<Result<_, _>>()?;
        let answers = <[SearchAnswer; N]>::try_from(answers);
        Ok(answers.expect("a multi-search answers each of its searches"))
    }

    /// Opens a point in time on the session's shard copies. It expires `keep_alive` after its last use.
    pub async fn open_point(
        &self,
        view: View,
        keep_alive: Duration,
    ) -> Result<String, ElasticsearchError> {
        let preference = self.affinity.preference.as_deref();
        let index = self.index(view);
        self.elasticsearch
            .open_pit(index, keep_alive, preference)
            .await
    }

    /// The same on any shard copies, for all sessions.
    pub async fn open_shared_point(
        &self,
        view: View,
        keep_alive: Duration,
    ) -> Result<String, ElasticsearchError> {
        let index = self.index(view);
        self.elasticsearch.open_pit(index, keep_alive, None).await
    }

    /// Closes a point in time. One that cannot be closed expires.
    pub async fn close_point(&self, id: &str) {
        let _ = self.elasticsearch.close_pit(id).await;
    }

    /// The physical index of the view's active build.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Elasticsearch index, not a position in a list"
    )]
    pub fn index(&self, view: View) -> &str {
        &self.active_build(view).index
    }

    pub fn build_number(&self, view: View) -> u32 {
        self.active_build(view).build
    }

    /// The watermarks of the snapshot.
    pub fn visible(&self, view: View) -> &LaneSeqs {
        &self.active_build(view).visible
    }

    /// True if the view's watermarks had reached the floors on every lane.
    pub fn floors_met(&self, view: View) -> bool {
        self.active_build(view).floors_met
    }

    pub fn epoch(&self) -> Epoch {
        self.snapshot.epoch
    }

    /// `G` as issued: the offset of the last record that changed something.
    pub fn offset(&self) -> u64 {
        self.snapshot.offset
    }

    /// How far the topic had been read: what the `G` of a tidemark is compared with.
    pub fn offset_read(&self) -> u64 {
        self.snapshot.offset_read
    }

    /// What the state that serves this request has to show.
    pub fn need(&self) -> &Need {
        self.need
    }

    fn active_build(&self, view: View) -> &ActiveBuild {
        self.snapshot.active_build(view)
    }
}
