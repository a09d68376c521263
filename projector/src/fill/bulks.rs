//! The bulks of one lane: cut by bytes, several in flight, each written until it is settled.

use schemas::lane::Seq;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use super::context::{Interrupted, LaneContext};
use super::subject::Finished;
use crate::config::{BULKS_OF_ONE_LANE, FILL_BULK_BYTES};
use crate::sink::{Bulk, Outcome, Versioning};

/// A document that Elasticsearch will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) subject: Uuid,
    pub(super) id: Uuid,
    /// The first event that it was folded of.
    pub(super) first: Seq,
    /// The last one.
    pub(super) version: Seq,
    pub(super) reason: String,
}

type Refusals = Result<Vec<Refusal>, Interrupted>;

/// What one lane writes. Dropping it ends what is in flight.
#[derive(Debug)]
pub(super) struct Bulks {
    lane: LaneContext,
    bulk: Bulk,
    /// Of the documents in the bulk.
    subjects: Vec<Uuid>,
    running: JoinSet<Refusals>,
    /// Of the bulks that have ended.
    refusals: Vec<Refusal>,
}

impl Bulks {
    pub(super) fn new(lane: LaneContext) -> Self {
        Self {
            lane,
            bulk: Bulk::default(),
            subjects: Vec::new(),
            running: JoinSet::new(),
            refusals: Vec::new(),
        }
    }

    /// Adds a document, and waits while too many bulks of the lane are unsettled.
    pub(super) async fn add(&mut self, finished: &Finished) -> Result<(), Interrupted> {
        let Finished {
            subject,
            document,
            first,
        } = finished;
        let target = &self.lane.target;
        self.bulk
            .push(target, document, *first, Versioning::ExternalGte);
        self.subjects.push(*subject);
        if self.bulk.bytes() >= FILL_BULK_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    /// What was refused in the bulks that have ended by now.
    pub(super) fn ended(&mut self) -> Refusals {
        while let Some(ended) = self.running.try_join_next() {
            self.refusals.extend(settled(ended)?);
        }
        Ok(std::mem::take(&mut self.refusals))
    }

    /// Writes what is left, and waits for all of it.
    pub(super) async fn finish(&mut self) -> Refusals {
        if !self.bulk.is_empty() {
            self.send().await?;
        }
        while let Some(ended) = self.running.join_next().await {
            self.refusals.extend(settled(ended)?);
        }
        Ok(std::mem::take(&mut self.refusals))
    }

    async fn send(&mut self) -> Result<(), Interrupted> {
        while self.running.len() >= BULKS_OF_ONE_LANE
            && let Some(ended) = self.running.join_next().await
        {
            self.refusals.extend(settled(ended)?);
        }
        let bulk = std::mem::take(&mut self.bulk).seal();
        let subjects = std::mem::take(&mut self.subjects);
        let lane = self.lane.clone();
        self.running.spawn(async move {
            let outcomes = lane.write(&bulk).await?;
            let written = bulk.ops().iter().zip(subjects).zip(outcomes);
            let refused = written.filter_map(|((op, subject), outcome)| match outcome {
                Outcome::Refused(reason) => Some(Refusal {
                    subject,
                    id: op.id,
                    first: op.first.0,
                    version: op.version,
                    reason,
                }),
                Outcome::Written | Outcome::Superseded | Outcome::Lost => None,
            });
            Ok(refused.collect())
        });
        Ok(())
    }
}

fn settled(ended: Result<Refusals, JoinError>) -> Refusals {
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(Interrupted::Reassigned),
    })
}
