//! Publishes to the watermark topic: watermarks and records of builds.
//!
//! Delivery has a deadline. A record whose delivery is unknown may be published again: the last one
//! under a key counts.

use std::sync::{Arc, PoisonError, RwLock};

use chassis::kafka::{self, KafkaBrokers};
use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::Timeout;
use schemas::topic::Names;
use schemas::watermark::Key;
use serde::Serialize;

use crate::config::{DELIVERY_TIMEOUT, MAX_RECORDS_IN_FLIGHT};

mod due;
mod watermarks;

pub use watermarks::WatermarkLoop;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("create a kafka producer")]
    Producer(#[source] KafkaError),
    #[error("serialise a record of the watermark topic")]
    Serialise(#[from] serde_json::Error),
    #[error("publish to the watermark topic")]
    Kafka(#[source] KafkaError),
    #[error("kafka did not acknowledge in time")]
    TooLate,
}

/// A record: its key, and its value, or none to remove the key.
pub type Publication = (Key, Option<Vec<u8>>);

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct WatermarkPublisher {
    shared: Arc<Shared>,
}

struct Shared {
    brokers: KafkaBrokers,
    topic: String,
    producer: RwLock<FutureProducer>,
}

impl std::fmt::Debug for WatermarkPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatermarkPublisher")
            .field("topic", &self.shared.topic)
            .finish()
    }
}

impl WatermarkPublisher {
    pub fn new(brokers: &KafkaBrokers, names: &Names) -> Result<Self, PublishError> {
        let shared = Shared {
            brokers: brokers.clone(),
            topic: names.watermarks(),
            producer: RwLock::new(producer(brokers)?),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Publishes a value under a key, or removes the key.
    pub async fn publish(
        &self,
        key: &Key,
        value: Option<&impl Serialize>,
    ) -> Result<(), PublishError> {
        let value = value.map(serde_json::to_vec).transpose()?;
        self.send(&(key.clone(), value)).await.map(drop)
    }

    /// Publishes several records, many in flight at once; the offset of each, in order.
    pub async fn publish_all(
        &self,
        publications: &[Publication],
    ) -> Vec<Result<u64, PublishError>> {
        let mut outcomes = Vec::with_capacity(publications.len());
        for window in publications.chunks(MAX_RECORDS_IN_FLIGHT) {
            outcomes.extend(join_all(window.iter().map(|one| self.send(one))).await);
        }
        outcomes
    }

    async fn send(&self, (key, value): &Publication) -> Result<u64, PublishError> {
        let producer = self.producer()?;
        let key = key.to_string();
        let mut record = FutureRecord::to(&self.shared.topic).partition(0).key(&key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        let sending = producer.send(record, Timeout::After(DELIVERY_TIMEOUT));
        let delivery = tokio::time::timeout(DELIVERY_TIMEOUT, sending)
            .await
            .map_err(|_| PublishError::TooLate)?;
        let delivery = delivery.map_err(|(error, _)| PublishError::Kafka(error))?;
        Ok(u64::try_from(delivery.offset).unwrap_or(0))
    }

    /// The producer, or a new one after a fatal error.
    fn producer(&self) -> Result<FutureProducer, PublishError> {
        let lock = &self.shared.producer;
        let current = lock.read().unwrap_or_else(PoisonError::into_inner).clone();
        if fatal(&current).is_none() {
            return Ok(current);
        }
        let mut slot = lock.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = fatal(&slot) {
            tracing::warn!(kafka.code = %code, "the producer failed; creating a new one");
            *slot = producer(&self.shared.brokers)?;
        }
        Ok(slot.clone())
    }
}

fn fatal(producer: &FutureProducer) -> Option<RDKafkaErrorCode> {
    producer.client().fatal_error().map(|(code, _)| code)
}

fn producer(brokers: &KafkaBrokers) -> Result<FutureProducer, PublishError> {
    kafka::producer_config(brokers)
        .set("linger.ms", "0")
        .set("message.timeout.ms", "5000")
        .set("request.timeout.ms", "3000")
        .set("reconnect.backoff.max.ms", "500")
        .create()
        .map_err(PublishError::Producer)
}
