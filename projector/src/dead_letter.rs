//! Dead letters: events that could not be folded, or whose documents were refused. Recorded for the
//! operator; the lane stands still before them.

use bytes::Bytes;
use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{Elasticsearch, ElasticsearchError, SearchOptions};
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use schemas::id::Epoch;
use schemas::lane::{Lane, Seq};
use schemas::operations::DeadLetter;
use schemas::topic::Names;
use serde_json::json;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::build_id::BuildId;
use crate::config::{DEAD_LETTER_TIMEOUT, MAX_LISTED_DEAD_LETTERS};
use crate::indexes::Indexes;

#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("write a dead letter")]
    Elasticsearch(#[from] ElasticsearchError),
    #[error("a dead letter was refused with status {0}")]
    Refused(u16),
}

/// The index of dead letters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    elasticsearch: Elasticsearch,
    indexes: Indexes,
    index: String,
    epoch: Epoch,
    recording: TaskTracker,
}

impl DeadLetters {
    pub fn new(elasticsearch: Elasticsearch, indexes: Indexes, names: &Names) -> Self {
        Self {
            elasticsearch,
            indexes,
            index: names.dead_letters(),
            epoch: names.epoch(),
            recording: TaskTracker::new(),
        }
    }

    /// Records on the side. A lane that stands still meets its letter again after every restart,
    /// so one that is not recorded in time is not lost.
    pub fn record(&self, build: BuildId, lane: Lane, (seq, event_id): (Seq, Uuid), reason: &str) {
        let letter = DeadLetter {
            view: build.view.name().to_owned(),
            build: build.number,
            epoch: self.epoch,
            lane,
            seq,
            event_id,
            reason: reason.to_owned(),
            at: clock::now(),
        };
        let letters = self.clone();
        self.recording.spawn(async move {
            let deadline = Deadline::within(DEAD_LETTER_TIMEOUT);
            let mut backoff = Backoff::default();
            while let Err(error) = letters.write(&letter).await {
                if matches!(error, RecordError::Refused(404)) {
                    letters.indexes.make_missing().await.ok();
                }
                if deadline.has_passed() {
                    tracing::error!(error = %Chain(&error), "failed to record a dead letter");
                    return;
                }
                backoff.pause().await;
            }
        });
    }

    async fn write(&self, letter: &DeadLetter) -> Result<(), RecordError> {
        let id = format!(
            "{}-{}-{}-{}",
            letter.view, letter.build, letter.lane, letter.seq
        );
        let action = json!({"index": {"_index": self.index, "_id": id}});
        let body = format!("{action}\n{}\n", json!(letter));
        let items = self.elasticsearch.bulk(Bytes::from(body)).await?;
        let refused = items.iter().find(|item| !item.is_written());
        refused.map_or(Ok(()), |item| Err(RecordError::Refused(item.status)))
    }

    /// The newest dead letters.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, ElasticsearchError> {
        let body = json!({"size": MAX_LISTED_DEAD_LETTERS, "sort": [{"at": "desc"}], "track_total_hits": false});
        let body = Bytes::from(body.to_string());
        let options = SearchOptions::default();
        let found = self.elasticsearch.search(Some(&self.index), body, &options);
        let answer = match found.await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            answer => answer?,
        };
        let letters = answer
            .hits
            .hits
            .iter()
            .filter_map(|hit| serde_json::from_str(hit.source.as_ref()?.get()).ok());
        Ok(letters.collect())
    }
}
