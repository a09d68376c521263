//! Kafka clients with the settings that Tidemark's promises rest on, and topics made once.
//!
//! A service may add to these settings, never take from them: dense order needs idempotence, and
//! quick failover needs the session time-out.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::clock::Deadline;

mod brokers;

pub use brokers::{BrokersError, KafkaBrokers};

#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    #[error("create the kafka admin client")]
    Client(#[source] KafkaError),
    #[error("ask for a topic")]
    Ask(#[source] KafkaError),
    #[error("whether there is a topic {topic}: kafka answered {code}")]
    Untold {
        topic: String,
        code: RDKafkaErrorCode,
    },
    #[error("the runtime is ending")]
    Aborted,
    #[error("create topic {topic}")]
    Create {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("create topic {topic}: kafka answered {code}")]
    Refused {
        topic: String,
        code: RDKafkaErrorCode,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnsuredTopic {
    Created,
    Existed,
}

/// A member of a group that takes over lost partitions within seconds. Offsets are stored by hand
/// and committed by hand.
pub fn consumer_config(brokers: &KafkaBrokers, group: &str) -> ClientConfig {
    let mut config = reader_config(brokers);
    config
        .set("group.id", group)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1000")
        .set("max.poll.interval.ms", "60000")
        .set("auto.offset.reset", "earliest");
    config
}

/// A reader of whole partitions, without a group: assign partitions and offsets by hand. Ends of
/// partitions are reported. The library wants a group id even so, but never joins that group.
pub fn tail_config(brokers: &KafkaBrokers) -> ClientConfig {
    let mut config = reader_config(brokers);
    config
        .set("group.id", "tidemark-tail")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true");
    config
}

/// For consumers of `tail_config`. The library calls the end of a partition an error; it is news,
/// and comes to the reader as such.
#[derive(Debug, Clone, Copy)]
pub struct TailContext;

impl ClientContext for TailContext {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::error!(%error, reason, "kafka reports an error");
        }
    }
}

impl ConsumerContext for TailContext {}

fn reader_config(brokers: &KafkaBrokers) -> ClientConfig {
    let mut config = brokers.client_config();
    config
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.min.bytes", "1")
        .set("fetch.error.backoff.ms", "100")
        .set("queued.max.messages.kbytes", "16384")
        .set("check.crcs", "true");
    config
}

/// A producer whose records arrive once and in order, or are reported as failed.
pub fn producer_config(brokers: &KafkaBrokers) -> ClientConfig {
    let mut config = brokers.client_config();
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("compression.type", "zstd")
        .set("message.max.bytes", "1000000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("message.timeout.ms", "30000")
        .set("request.timeout.ms", "5000");
    config
}

/// Whether there is a topic of this name. A broker that does not tell, for whatever reason, is an
/// error: a topic that a client may not see is not lost.
pub async fn topic_exists(
    brokers: &KafkaBrokers,
    topic: &str,
    deadline: Deadline,
) -> Result<bool, TopicError> {
    let (config, topic) = (brokers.client_config(), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = config.create().map_err(TopicError::Client)?;
        let limit = deadline.remaining().max(Duration::from_millis(1));
        // By its name: from a list of all, topics that may not be seen are left out.
        let metadata = client.fetch_metadata(Some(&topic), limit);
        let metadata = metadata.map_err(TopicError::Ask)?;
        let told = metadata.topics().iter().find(|told| told.name() == topic);
        let error = told.map_or(Some(RDKafkaErrorCode::UnknownTopic), |told| {
            told.error().map(RDKafkaErrorCode::from)
        });
        exists(error).map_err(|code| TopicError::Untold { topic, code })
    });
    asked.await.map_err(|_| TopicError::Aborted)?
}

/// What the error in a topic's metadata says of the topic.
fn exists(error: Option<RDKafkaErrorCode>) -> Result<bool, RDKafkaErrorCode> {
    use RDKafkaErrorCode::{LeaderNotAvailable, UnknownTopic, UnknownTopicOrPartition};
    match error {
        None | Some(LeaderNotAvailable) => Ok(true),
        Some(UnknownTopic | UnknownTopicOrPartition) => Ok(false),
        Some(code) => Err(code),
    }
}

/// Creates a topic where there is none. An existing one is left as it is.
///
/// `settings` are topic settings such as `("cleanup.policy", "compact")`. Replication is the
/// broker's default.
pub async fn ensure_topic(
    brokers: &KafkaBrokers,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
    deadline: Deadline,
) -> Result<EnsuredTopic, TopicError> {
    let admin: AdminClient<DefaultClientContext> = brokers
        .client_config()
        .create()
        .map_err(TopicError::Client)?;
    let topic = settings.iter().fold(
        NewTopic::new(name, partitions, TopicReplication::Fixed(-1)),
        |topic, (key, value)| topic.set(key, value),
    );
    let limit = deadline.remaining().max(Duration::from_millis(1));
    let options = AdminOptions::new()
        .request_timeout(Some(limit))
        .operation_timeout(Some(limit));
    let results = admin
        .create_topics([&topic], &options)
        .await
        .map_err(|source| TopicError::Create {
            topic: name.to_owned(),
            source,
        })?;
    tokio::task::spawn_blocking(move || drop(admin));
    match results.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(EnsuredTopic::Existed),
        Some(Err((topic, code))) => Err(TopicError::Refused { topic, code }),
        Some(Ok(_)) | None => Ok(EnsuredTopic::Created),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::FutureProducer;
    use rstest::rstest;

    use super::RDKafkaErrorCode as Code;
    use super::*;

    #[test]
    fn every_setting_is_one_that_the_library_knows() {
        let brokers = KafkaBrokers::plain("127.0.0.1:1");
        consumer_config(&brokers, "group")
            .create::<BaseConsumer>()
            .unwrap();
        tail_config(&brokers).create::<BaseConsumer>().unwrap();
        let producer: FutureProducer = producer_config(&brokers).create().unwrap();
        drop(producer);
    }
    #[rstest]
    #[case::that_is_there(None, Ok(true))]
    #[case::whose_leader_is_chosen(Some(Code::LeaderNotAvailable), Ok(true))]
    #[case::that_is_not_there(Some(Code::UnknownTopicOrPartition), Ok(false))]
    #[case::that_may_not_be_seen(
        Some(Code::TopicAuthorizationFailed),
        Err(Code::TopicAuthorizationFailed)
    )]
    #[case::of_a_broker_in_trouble(Some(Code::BrokerNotAvailable), Err(Code::BrokerNotAvailable))]
    fn a_topic(#[case] error: Option<Code>, #[case] is_there: Result<bool, Code>) {
        assert_eq!(exists(error), is_there);
    }
}
