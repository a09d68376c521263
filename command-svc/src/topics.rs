//! Kafka's topics: made where they are missing, under the names of this history.
//!
//! Neither is the truth: what the events topic no longer holds is read from the event table, and
//! the watermark topic keeps the newest record of each key, compacted so that a replica reads it
//! all within two seconds. A topic that exists is left as its operator has set it. PostgreSQL
//! remembers for which history the watermark topic was made: it is made once.

use backon::Retryable;
use chassis::clock::Deadline;
use chassis::kafka::{EnsuredTopic, KafkaBrokers, TopicError as EnsureError, ensure_topic};
use chassis::retry;
use schemas::topic::Names;

mod sightings;
mod watch;

pub use watch::{Watch, remember, was_made};

use crate::config::{TOPICS_ATTEMPT_TIMEOUT, TOPICS_TIMEOUT};

/// Seven days: readers that were stopped for longer read from the event table.
const EVENTS: [(&str, &str); 2] = [("cleanup.policy", "delete"), ("retention.ms", "604800000")];

/// Small segments that are rolled and compacted soon; what is younger than a minute stays, so that
/// replicas see every step of the recent past.
const WATERMARKS: [(&str, &str); 6] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("segment.ms", "30000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("min.compaction.lag.ms", "60000"),
    ("max.compaction.lag.ms", "120000"),
];

#[derive(Debug, thiserror::Error)]
#[error("prepare kafka's topics")]
pub struct TopicError(#[source] EnsureError);

/// Makes both topics where they are missing. Safe to repeat, and for several processes at once.
pub async fn ensure(
    brokers: &KafkaBrokers,
    partitions: i32,
    names: &Names,
) -> Result<(), TopicError> {
    let deadline = Deadline::within(TOPICS_TIMEOUT);
    ensure_events(brokers, partitions, names, deadline).await?;
    ensure_one(brokers, &names.watermarks(), (1, &WATERMARKS), deadline).await
}

/// The topic of the events alone: the relay creates it again if it was deleted.
pub(crate) async fn ensure_events(
    brokers: &KafkaBrokers,
    partitions: i32,
    names: &Names,
    deadline: Deadline,
) -> Result<(), TopicError> {
    ensure_one(brokers, &names.events(), (partitions, &EVENTS), deadline).await
}

async fn ensure_one(
    brokers: &KafkaBrokers,
    name: &str,
    (partitions, settings): (i32, &[(&str, &str)]),
    deadline: Deadline,
) -> Result<(), TopicError> {
    let attempt = || {
        ensure_topic(
            brokers,
            name,
            partitions,
            settings,
            deadline.at_most(TOPICS_ATTEMPT_TIMEOUT),
        )
    };
    let ensured = attempt
        .retry(retry::within(deadline))
        .await
        .map_err(TopicError)?;
    if ensured == EnsuredTopic::Created {
        tracing::info!(
            kafka.topic = name,
            kafka.partitions = partitions,
            "topic created"
        );
    }
    Ok(())
}
