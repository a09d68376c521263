//! The indexes that are no build of a view: checkpoints and dead letters, made once.

use std::time::Duration;

use chassis::elasticsearch::{Elasticsearch, ElasticsearchError};
use chassis::health::Probe;
use chassis::retry::Backoff;
use chassis::telemetry::{Chain, Said};
use schemas::topic::Names;
use serde_json::Value;

#[derive(Debug, thiserror::Error)]
#[error("make index {index}")]
pub struct IndexError {
    index: String,
    source: ElasticsearchError,
}

/// Makes those that are not there yet; waits while Elasticsearch is away.
pub(super) async fn ensure_indexes(
    elasticsearch: &Elasticsearch,
    names: &Names,
    probe: &Probe,
) -> Result<(), IndexError> {
    let indexes = [
        (
            names.checkpoints(),
            include_str!("../../mappings/checkpoints.json"),
        ),
        (
            names.dead_letters(),
            include_str!("../../mappings/dead_letters.json"),
        ),
    ];
    for (index, body) in indexes {
        let body: Value = serde_json::from_str(body).expect("committed mappings are JSON");
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut said = Said::default();
        loop {
            match elasticsearch.create_index(&index, &body).await {
                Ok(_) => break,
                Err(error) if error.is_already_exists() => break,
                Err(error) if error.is_transient() => {
                    if said.is_news(&error) {
                        tracing::warn!(error = %Chain(&error), "elasticsearch cannot be used yet");
                    }
                    probe.down(error.outline());
                    backoff.pause().await;
                }
                Err(source) => return Err(IndexError { index, source }),
            }
        }
    }
    Ok(())
}
