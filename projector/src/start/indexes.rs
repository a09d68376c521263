//! Waiting for Elasticsearch, by making the indexes that are no build of a view.

use std::time::Duration;

use chassis::health::Probe;
use chassis::retry::Backoff;
use chassis::telemetry::{Chain, Said};

use crate::indexes::{IndexError, Indexes};

/// Makes those that are not there yet; waits while Elasticsearch is away.
pub(super) async fn ensure_indexes(indexes: &Indexes, probe: &Probe) -> Result<(), IndexError> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    let mut said = Said::default();
    loop {
        match indexes.make_missing().await {
            Err(error) if error.source.is_transient() => {
                if said.is_news(&error.source) {
                    tracing::warn!(error = %Chain(&error), "elasticsearch is unavailable; retrying");
                }
                probe.down(error.source.outline());
                backoff.pause().await;
            }
            made => return made,
        }
    }
}
