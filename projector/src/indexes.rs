//! The indexes that are no build of a view: checkpoints and dead letters.
//!
//! Both can be lost without harm. Without its checkpoints a build is filled from the start; a dead
//! letter is met again. Whoever finds one missing makes both again.

use chassis::elasticsearch::{Elasticsearch, ElasticsearchError};
use schemas::topic::Names;
use serde_json::Value;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Indexes {
    elasticsearch: Elasticsearch,
    names: Names,
}

#[derive(Debug, thiserror::Error)]
#[error("create index {index}")]
pub struct IndexError {
    index: String,
    pub source: ElasticsearchError,
}

impl Indexes {
    pub fn new(elasticsearch: Elasticsearch, names: &Names) -> Self {
        Self {
            elasticsearch,
            names: names.clone(),
        }
    }

    /// Makes those that are not there.
    pub async fn make_missing(&self) -> Result<(), IndexError> {
        let indexes = [
            (
                self.names.checkpoints(),
                include_str!("../mappings/checkpoints.json"),
            ),
            (
                self.names.dead_letters(),
                include_str!("../mappings/dead_letters.json"),
            ),
        ];
        for (index, body) in indexes {
            let body: Value = serde_json::from_str(body).expect("committed mappings are JSON");
            match self.elasticsearch.create_index(&index, &body).await {
                Ok(_) => tracing::info!(index, "created an index"),
                Err(error) if error.is_already_exists() => {}
                Err(source) => return Err(IndexError { index, source }),
            }
        }
        Ok(())
    }
}
