//! Whether Kafka answers: acks show it, and without acks it is asked. No ack shows how many
//! partitions the topic has, so that is asked under traffic too.

use chassis::clock;
use chassis::health::Probe;
use rdkafka::error::KafkaResult;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::publisher::{Publisher, answer};
use crate::config::{BROKER_CHECK_INTERVAL, BROKER_SILENCE};

const SILENT: &str = "brokers do not answer";

#[derive(Debug)]
pub struct KafkaWatch<'a> {
    probe: &'a Probe,
    is_up: bool,
    heard: Instant,
    asked: Instant,
    question: Option<JoinHandle<KafkaResult<i32>>>,
}

impl<'a> KafkaWatch<'a> {
    /// After Kafka has answered once.
    pub fn new(probe: &'a Probe) -> Self {
        probe.up();
        let now = clock::instant();
        Self {
            probe,
            is_up: true,
            heard: now,
            asked: now,
            question: None,
        }
    }

    /// Notes that Kafka answered.
    pub fn note_answer(&mut self) {
        self.heard = clock::instant();
        if !self.is_up {
            self.is_up = true;
            self.probe.up();
        }
    }

    pub fn brokers_are_down(&mut self) {
        self.is_up = false;
        self.probe.down(SILENT);
    }

    /// Asks for the topic's partitions when it is due, unless a question is open.
    pub fn ask_when_due(&mut self, publisher: &Publisher) {
        let is_due =
            self.heard.elapsed() >= BROKER_SILENCE || self.asked.elapsed() >= BROKER_CHECK_INTERVAL;
        if self.question.is_none() && is_due {
            self.asked = clock::instant();
            self.question = Some(publisher.ask_partitions());
        }
    }

    /// The answer to the open question; never, while there is none. May be dropped and called
    /// again.
    pub async fn answer(&mut self) -> KafkaResult<i32> {
        let Some(question) = self.question.as_mut() else {
            return std::future::pending().await;
        };
        let partitions = answer(question.await);
        self.question = None;
        match &partitions {
            Ok(_) => self.note_answer(),
            Err(error) => {
                tracing::debug!(error = %error, "failed to ask kafka for the events topic");
                self.brokers_are_down();
            }
        }
        partitions
    }
}
