//! The relay's side of Kafka: one idempotent producer, and what it reports.
//!
//! A record that Kafka refuses is left to the readers, which fill gaps from the event table. Any
//! other error is not about the record, so a new producer sends it again, in order.

use std::fmt;
use std::sync::Arc;

use chassis::clock::Deadline;
use chassis::kafka::{KafkaBrokers, producer_config};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use schemas::lane::Position;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::row::EventRow;
use crate::config::{METADATA_TIMEOUT, PRODUCER_CLOSE_TIMEOUT};

/// Everything that the producer reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    Delivered(Position),
    /// Kafka refuses a record of this many bytes.
    TooLarge {
        position: Position,
        bytes: usize,
    },
    /// Kafka refuses this record for good.
    Refused {
        position: Position,
        code: RDKafkaErrorCode,
    },
    /// An error that is not about the record.
    Failed(RDKafkaErrorCode),
    BrokersDown,
}

/// What to do about an error of a record.
fn report(position: Position, bytes: usize, code: RDKafkaErrorCode) -> Report {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge => Report::TooLarge { position, bytes },
        RDKafkaErrorCode::InvalidRecord
        | RDKafkaErrorCode::InvalidTimestamp
        | RDKafkaErrorCode::PolicyViolation => Report::Refused { position, code },
        code => Report::Failed(code),
    }
}

/// Where callbacks go. Bounded by what is in flight: a record is reported once.
struct Reporter(UnboundedSender<Report>);

impl ClientContext for Reporter {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, kafka.reason = reason, "the relay's producer reported an error");
        let report = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => Report::BrokersDown,
            Some(code @ RDKafkaErrorCode::Fatal) => Report::Failed(code),
            _ => return,
        };
        // The receiver is gone once the session has ended.
        let _ = self.0.send(report);
    }
}

impl ProducerContext for Reporter {
    type DeliveryOpaque = Box<(Position, usize)>;

    fn delivery(&self, result: &DeliveryResult<'_>, record: Self::DeliveryOpaque) {
        let (position, bytes) = *record;
        let report = match result {
            Ok(_) => Report::Delivered(position),
            Err((error, _)) => {
                let code = error
                    .rdkafka_error_code()
                    .unwrap_or(RDKafkaErrorCode::Unknown);
                report(position, bytes, code)
            }
        };
        let _ = self.0.send(report);
    }
}

#[derive(Clone)]
pub struct Publisher {
    producer: ThreadedProducer<Reporter>,
    topic: Arc<str>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// The result of handing a record over.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    InFlight,
    /// The queue is full: to be tried again later.
    Full,
    /// At once, without asking Kafka.
    Not(Report),
}

impl Publisher {
    /// `batch_bytes`: a record that is larger travels alone. Returns also how many partitions the
    /// topic has; 0 if the topic does not exist.
    pub async fn open(
        brokers: &KafkaBrokers,
        topic: &str,
        batch_bytes: usize,
    ) -> KafkaResult<(Self, UnboundedReceiver<Report>, i32)> {
        let (reporter, reports) = unbounded_channel();
        let producer = producer_config(brokers)
            .set("batch.size", batch_bytes.to_string())
            .create_with_context(Reporter(reporter))?;
        let publisher = Self {
            producer,
            topic: topic.into(),
        };
        match answer(publisher.ask_partitions().await) {
            Ok(partitions) => Ok((publisher, reports, partitions)),
            Err(error) => {
                publisher.close().await;
                Err(error)
            }
        }
    }

    /// Asks Kafka how many partitions the topic has; 0 if the topic does not exist.
    pub fn ask_partitions(&self) -> JoinHandle<KafkaResult<i32>> {
        let publisher = self.clone();
        spawn_blocking(move || {
            let client = publisher.producer.client();
            let metadata = client.fetch_metadata(Some(&publisher.topic), METADATA_TIMEOUT)?;
            let topic = metadata
                .topics()
                .first()
                .filter(|topic| topic.error().is_none());
            let partitions = topic.map_or(0, |topic| topic.partitions().len());
            Ok(i32::try_from(partitions).expect("partitions are counted in 32 bits"))
        })
    }

    /// Hands a record over without waiting for anything.
    pub fn send(&self, row: EventRow, partition: i32) -> Sent {
        let bytes = row.bytes();
        let (position, key, headers, payload) = row.record();
        let record = BaseRecord::with_opaque_to(&self.topic, Box::new((position, bytes)))
            .partition(partition)
            .key(&key)
            .payload(&payload)
            .headers(headers);
        let Err((error, _)) = self.producer.send(record) else {
            return Sent::InFlight;
        };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Sent::Full,
            // Larger than a request may be, even alone.
            Some(code @ RDKafkaErrorCode::MessageSizeTooLarge) => {
                Sent::Not(Report::Refused { position, code })
            }
            code => Sent::Not(report(
                position,
                bytes,
                code.unwrap_or(RDKafkaErrorCode::Unknown),
            )),
        }
    }

    /// Drops what is in flight and closes the producer, outside of the runtime's threads.
    pub async fn close(self) {
        let closing = spawn_blocking(move || drop(self));
        if Deadline::within(PRODUCER_CLOSE_TIMEOUT)
            .run(closing)
            .await
            .is_err()
        {
            tracing::warn!("the relay's producer did not close in time");
        }
    }
}

/// What was asked of Kafka on a thread of its own.
pub fn answer(asked: Result<KafkaResult<i32>, JoinError>) -> KafkaResult<i32> {
    asked.expect("asking for metadata does not panic")
}

#[cfg(test)]
mod tests {
    use schemas::lane::Lane;

    use super::*;

    fn first() -> Position {
        Position {
            lane: Lane::try_from(0u8).unwrap(),
            seq: 1,
        }
    }

    #[test]
    fn a_time_out_is_no_refusal() {
        let timed_out = RDKafkaErrorCode::MessageTimedOut;
        assert_eq!(report(first(), 1, timed_out), Report::Failed(timed_out));
    }

    #[test]
    fn a_record_that_breaks_a_rule_of_the_topic_is_refused() {
        let code = RDKafkaErrorCode::InvalidRecord;
        assert_eq!(
            report(first(), 1, code),
            Report::Refused {
                position: first(),
                code
            }
        );
    }
}
