//! Beginning with lanes of a build: from their checkpoints, where they have one.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::elasticsearch::{Elasticsearch, ElasticsearchError};
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use schemas::lane::{Lane, Seq};
use uuid::Uuid;

use crate::checkpoint::{CheckpointError, Checkpoints};
use crate::fill::LaneAssignment;

/// The checkpoints of a build's lanes, where they have one.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) assignments: Vec<LaneAssignment>,
    pub(super) checkpoints: BTreeMap<Lane, (Seq, Uuid)>,
}

/// Reads checkpoints, and sees that the index is still the one that was announced.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) index: String,
    pub(super) index_uuid: String,
    pub(super) assignments: Vec<LaneAssignment>,
    pub(super) checkpoints: Checkpoints,
    pub(super) elasticsearch: Elasticsearch,
}

impl Load {
    /// None where the index is gone, or another one.
    pub(super) async fn run(self) -> Option<Loaded> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match self.load().await {
                Ok(loaded) => return loaded,
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "retrying to read checkpoints");
                    backoff.pause().await;
                }
            }
        }
    }

    async fn load(&self) -> Result<Option<Loaded>, CheckpointError> {
        let uuid: Result<_, ElasticsearchError> = self.elasticsearch.index_uuid(&self.index).await;
        if uuid?.as_ref() != Some(&self.index_uuid) {
            return Ok(None);
        }
        let lanes: Vec<Lane> = self.assignments.iter().map(|(lane, _)| *lane).collect();
        let checkpoints = self.checkpoints.load(&self.index_uuid, &lanes).await?;
        Ok(Some(Loaded {
            assignments: self.assignments.clone(),
            checkpoints,
        }))
    }
}
