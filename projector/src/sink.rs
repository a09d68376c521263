//! The only writer of documents: bulks with external versions, whose every item is inspected.
//!
//! A version that already exists (409) is written once more as found, so that it is on every shard
//! copy before a watermark covers it. Transient errors are retried within a budget; refused documents
//! are told apart from lost indexes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chassis::clock::Deadline;
use chassis::elasticsearch::{BulkItem, Elasticsearch, ElasticsearchError};
use chassis::health::Probe;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use tokio_util::sync::CancellationToken;

use crate::config::{FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE, PING_INTERVAL};
use crate::{crash, metrics};

mod access;
mod bulk;
mod conflict;
mod portion;
mod read;
mod refresh;

use access::Access;
pub use bulk::{Bulk, Op, SealedBulk, Target, Versioning};
pub use chassis::elasticsearch::Found;
pub use portion::Portion;
pub use read::Pages;

/// How one operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Written,
    /// An equal or higher version exists; it was written once more as found.
    Superseded,
    /// Elasticsearch refuses this document.
    Refused(String),
    /// The index is missing.
    Lost,
}

impl Outcome {
    /// The label in metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Superseded => "superseded",
            Self::Refused(_) => "refused",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("elasticsearch did not accept the request within the retry budget")]
    BudgetEnded(#[source] Option<ElasticsearchError>),
    #[error("elasticsearch refused a whole request")]
    Refused(#[source] ElasticsearchError),
    #[error("an index is missing")]
    Missing(#[source] ElasticsearchError),
    #[error("parse a stored document")]
    Stored(#[source] serde_json::Error),
    #[error("a bulk of {sent} operations was answered with {answered} items")]
    Miscounted { sent: usize, answered: usize },
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sink {
    elasticsearch: Elasticsearch,
    budget: Duration,
    access: Access,
}

impl Sink {
    /// `budget` is how long a write is retried.
    pub fn new(elasticsearch: Elasticsearch, budget: Duration, probe: Probe) -> Self {
        Self {
            elasticsearch,
            budget,
            access: Access::new(probe),
        }
    }

    /// The same with another budget.
    pub fn with_budget(self, budget: Duration) -> Self {
        Self { budget, ..self }
    }

    /// Pings Elasticsearch until `shutdown`, also while nothing is written.
    pub async fn watch(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(PING_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let fault = self.elasticsearch.ping().await.err();
            self.access.pinged(fault.map(|error| error.outline()));
        }
    }

    pub fn elasticsearch(&self) -> &Elasticsearch {
        &self.elasticsearch
    }

    /// Writes all operations and returns the outcome of each.
    pub async fn write(&self, bulk: Bulk) -> Result<Vec<(Op, Outcome)>, SinkError> {
        let bulk = bulk.seal();
        let outcomes = self.write_sealed(&bulk).await?;
        Ok(bulk.ops.into_iter().zip(outcomes).collect())
    }

    /// Writes all operations and returns their outcomes in order.
    pub async fn write_sealed(&self, bulk: &SealedBulk) -> Result<Vec<Outcome>, SinkError> {
        let SealedBulk { body, ops } = bulk;
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Deadline::within(self.budget);
        let mut outcomes: Vec<Option<Outcome>> = vec![None; ops.len()];
        let mut pending: Vec<usize> = (0..ops.len()).collect();
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE);
        loop {
            let failure = match self.send(body, ops, &pending).await? {
                Ok(items) => {
                    self.note_denials(&items);
                    pending = sort_out(&items, &pending, &mut outcomes);
                    None
                }
                Err(error) => Some(error),
            };
            if pending.is_empty() {
                break;
            }
            self.pause(&mut backoff, deadline, failure).await?;
        }
        let superseded = positions(&outcomes, &Outcome::Superseded);
        self.write_as_found((body, ops), superseded, deadline)
            .await?;
        let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        for (op, outcome) in ops.iter().zip(&outcomes) {
            metrics::document_written(op.target.build.view, outcome.name());
        }
        crash::WRITE.reach("after-bulk");
        Ok(outcomes)
    }

    /// Sends the pending operations. The inner error is transient.
    async fn send(
        &self,
        body: &Bytes,
        ops: &[Op],
        pending: &[usize],
    ) -> Result<Result<Vec<BulkItem>, ElasticsearchError>, SinkError> {
        let ndjson = if pending.len() == ops.len() {
            body.clone()
        } else {
            pick(body, ops, pending)
        };
        let items = match self.elasticsearch.bulk(ndjson).await {
            Ok(items) => items,
            Err(error) if error.is_transient() => return Ok(Err(error)),
            Err(error) => return Err(SinkError::Refused(error)),
        };
        if items.len() != pending.len() {
            let (sent, answered) = (pending.len(), items.len());
            return Err(SinkError::Miscounted { sent, answered });
        }
        Ok(Ok(items))
    }

    fn note_denials(&self, items: &[BulkItem]) {
        if items.iter().any(BulkItem::is_denied) {
            self.access.is_denied();
        }
    }

    async fn pause(
        &self,
        backoff: &mut Backoff,
        deadline: Deadline,
        failure: Option<ElasticsearchError>,
    ) -> Result<(), SinkError> {
        metrics::sink_retried();
        match &failure {
            Some(error) if error.is_denied() => self.access.is_denied(),
            Some(_) => self.access.is_away(),
            None => {}
        }
        if deadline.has_passed() {
            return Err(SinkError::BudgetEnded(failure));
        }
        if let Some(error) = &failure {
            tracing::debug!(error = %Chain(error), "retrying a request to elasticsearch");
        }
        deadline.run(backoff.pause()).await.ok();
        Ok(())
    }
}

/// Records final outcomes, and returns the operations to send again.
fn sort_out(items: &[BulkItem], pending: &[usize], outcomes: &mut [Option<Outcome>]) -> Vec<usize> {
    let mut again = Vec::new();
    for (item, index) in items.iter().zip(pending) {
        outcomes[*index] = Some(match item {
            item if item.is_written() => Outcome::Written,
            item if item.is_conflict() => Outcome::Superseded,
            item if item.status == 404 => Outcome::Lost,
            item if item.is_transient() => {
                again.push(*index);
                continue;
            }
            item => {
                let reason = item.error.as_ref().map(ToString::to_string);
                Outcome::Refused(reason.unwrap_or_else(|| format!("status {}", item.status)))
            }
        });
    }
    again
}

fn pick(body: &Bytes, ops: &[Op], pending: &[usize]) -> Bytes {
    let mut picked = BytesMut::new();
    for index in pending {
        picked.extend_from_slice(&body[ops[*index].range.clone()]);
    }
    picked.freeze()
}

fn positions(outcomes: &[Option<Outcome>], of: &Outcome) -> Vec<usize> {
    let meant = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| outcome.as_ref() == Some(of));
    meant.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(status: u16) -> BulkItem {
        BulkItem {
            status,
            error: None,
        }
    }

    #[test]
    fn every_item_of_a_bulk_is_inspected() {
        let items: Vec<BulkItem> = [201, 409, 429, 404, 400, 500, 401, 403].map(item).into();
        let mut outcomes = vec![None; 8];
        let again = sort_out(&items, &[0, 1, 2, 3, 4, 5, 6, 7], &mut outcomes);
        assert_eq!(again, [2, 5, 6, 7]);
        let refused = Outcome::Refused("status 400".to_owned());
        let expected = [
            Some(Outcome::Written),
            Some(Outcome::Superseded),
            None,
            Some(Outcome::Lost),
            Some(refused),
            None,
            None,
            None,
        ];
        assert_eq!(outcomes, expected);
    }
}
