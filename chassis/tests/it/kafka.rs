//! Topics are made once; what the producer was acknowledged, a reader without a group sees.

use std::time::Duration;

use chassis::clock::Deadline;
use chassis::kafka::{EnsuredTopic, KafkaBrokers, ensure_topic, producer_config, tail_config};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::Corner;

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

#[tokio::test]
async fn a_topic_is_made_once_and_read_to_its_end() {
    let corner = Corner::take().await;
    let brokers = KafkaBrokers::plain(corner.namespace.endpoints().kafka.as_str());
    let topic = format!("{}events", corner.namespace.prefix);
    let settings = [("cleanup.policy", "compact")];
    let ensure = || ensure_topic(&brokers, &topic, 1, &settings, soon());
    assert_eq!(ensure().await.unwrap(), EnsuredTopic::Created);
    assert_eq!(ensure().await.unwrap(), EnsuredTopic::Existed);

    let producer: FutureProducer = producer_config(&brokers).create().unwrap();
    let record = FutureRecord::to(&topic)
        .key("key")
        .payload("value")
        .partition(0);
    producer.send(record, Duration::ZERO).await.unwrap();

    let reader: StreamConsumer = tail_config(&brokers).create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(&topic, 0, Offset::Beginning)
        .unwrap();
    reader.assign(&partitions).unwrap();
    let first = soon().run(reader.recv()).await.unwrap().unwrap();
    assert_eq!(first.payload(), Some(b"value".as_slice()));
    let end = soon().run(reader.recv()).await.unwrap();
    assert!(matches!(end, Err(KafkaError::PartitionEOF(0))), "{end:?}");
}

#[tokio::test]
async fn a_broker_that_is_away_is_an_error_and_not_a_hang() {
    let deadline = Deadline::within(Duration::from_millis(500));
    let brokers = KafkaBrokers::plain("127.0.0.1:1");
    let ensured = ensure_topic(&brokers, "topic", 1, &[], deadline).await;
    assert!(ensured.is_err());
}
