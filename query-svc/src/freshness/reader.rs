//! What a read reads with: the active builds of one state of the watermark topic, within the
//! request's deadline.
//!
//! The client of Elasticsearch is private here, so that a cache or a catch-up read can answer in
//! its place. Never asks an alias.

use std::time::Duration;

use bytes::Bytes;
use chassis::elasticsearch::{
    Elasticsearch, ElasticsearchError, Found, SearchAnswer, SearchOptions,
};
use schemas::id::Epoch;
use schemas::lane::LaneSeqs;
use schemas::view::{View, ViewDocument};
use serde_json::{Value, json};

use super::judge::{Footing, Ground};
use super::need::Need;

#[derive(Debug)]
pub struct Reader<'a> {
    pub(super) elasticsearch: Elasticsearch,
    /// Keeps the session on the same copies of an index.
    pub(super) affinity: &'a SearchOptions,
    pub(super) need: &'a Need,
    pub(super) footing: &'a Footing,
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

    /// Documents as last written, without those that do not exist.
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

    /// Searches the point in time that the body names, which has copies of its own.
    pub async fn search_point(&self, body: Bytes) -> Result<SearchAnswer, ElasticsearchError> {
        let options = SearchOptions::default();
        self.elasticsearch.search(None, body, &options).await
    }

    /// Several searches in one request, each of a view; all or nothing.
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

    /// Opens a point in time on the session's copies. It ends by itself `kept` after its last use.
    pub async fn open_point(
        &self,
        view: View,
        kept: Duration,
    ) -> Result<String, ElasticsearchError> {
        let preference = self.affinity.preference.as_deref();
        let index = self.index(view);
        self.elasticsearch.open_pit(index, kept, preference).await
    }

    /// The same on any copies, for all sessions.
    pub async fn open_shared_point(
        &self,
        view: View,
        kept: Duration,
    ) -> Result<String, ElasticsearchError> {
        let index = self.index(view);
        self.elasticsearch.open_pit(index, kept, None).await
    }

    /// A point in time that cannot be closed ends by itself.
    pub async fn close_point(&self, id: &str) {
        let _ = self.elasticsearch.close_pit(id).await;
    }

    /// The physical index of the view's active build.
    #[expect(
        clippy::should_implement_trait,
        reason = "an index of Elasticsearch, not a place in a list"
    )]
    pub fn index(&self, view: View) -> &str {
        &self.ground(view).index
    }

    pub fn build(&self, view: View) -> u32 {
        self.ground(view).build
    }

    /// The watermarks before anything was read.
    pub fn visible(&self, view: View) -> &LaneSeqs {
        &self.ground(view).visible
    }

    /// True when the view's watermarks had reached the floors before anything was read.
    pub fn floors_met(&self, view: View) -> bool {
        self.ground(view).floors_met
    }

    pub fn epoch(&self) -> Epoch {
        self.footing.epoch
    }

    /// `G` before anything was read, as it is issued.
    pub fn offset(&self) -> u64 {
        self.footing.offset
    }

    /// How far the topic had been followed before anything was read: what `G` is compared with.
    pub fn offset_read(&self) -> u64 {
        self.footing.offset_read
    }

    /// What this request needs of a state that it is served from.
    pub fn need(&self) -> &Need {
        self.need
    }

    fn ground(&self, view: View) -> &Ground {
        self.footing.ground(view)
    }
}
