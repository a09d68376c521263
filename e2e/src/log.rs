//! The event log, looked at from behind: what is in PostgreSQL, what is in Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::id::Epoch;
use schemas::topic::{Names, header};
use tokio_postgres::Client;

use crate::world::World;

const LIMIT: Duration = Duration::from_secs(10);

/// The names of this world's topics and indexes.
pub async fn names(world: &World) -> Result<Names> {
    let row = world
        .database()
        .await?
        .query_one("select epoch from epoch", &[])
        .await?;
    let epoch = u32::try_from(row.get::<_, i64>(0))?;
    Ok(Names::new(&world.surroundings().prefix, Epoch(epoch)))
}

/// Fails unless every lane is 1, 2, 3 … up to its head.
pub async fn ensure_dense(database: &Client) -> Result<()> {
    let holes = database
        .query(
            "select l.id, l.head, count(e.seq), coalesce(max(e.seq), 0)
             from lane l left join event e on e.lane = l.id
             group by l.id, l.head
             having count(e.seq) <> l.head or coalesce(max(e.seq), 0) <> l.head",
            &[],
        )
        .await?;
    ensure!(holes.is_empty(), "{} lanes are not dense", holes.len());
    Ok(())
}

/// The head of every lane.
pub async fn heads(database: &Client) -> Result<Vec<i64>> {
    let heads = database.query("select head from lane order by id", &[]);
    Ok(heads.await?.iter().map(|row| row.get(0)).collect())
}

/// Every record that is in Kafka now, partition by partition.
pub async fn records(world: &World) -> Result<Vec<OwnedMessage>> {
    let topic = names(world).await?.events();
    let bootstrap = world.surroundings().endpoints.kafka.clone();
    tokio::task::spawn_blocking(move || read_all(&bootstrap, &topic)).await?
}

fn read_all(bootstrap: &str, topic: &str) -> Result<Vec<OwnedMessage>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "looking-from-behind")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
    let partitions = metadata
        .topics()
        .first()
        .context("the topic is missing")?
        .partitions();
    let mut assignment = TopicPartitionList::new();
    let mut missing = 0;
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), LIMIT)?;
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        missing += high - low;
    }
    consumer.assign(&assignment)?;
    let mut records = Vec::new();
    while missing > 0 {
        let record = consumer.poll(LIMIT).context("kafka holds back records")??;
        records.push(record.detach());
        missing -= 1;
    }
    Ok(records)
}

/// Waits until the relay remembers that everything is published.
pub async fn until_published(database: &tokio_postgres::Client) -> Result<()> {
    let open = "select count(*) from lane join relay on relay.lane = lane.id where seq < head";
    let deadline = std::time::Instant::now() + LIMIT;
    while database.query_one(open, &[]).await?.get::<_, i64>(0) > 0 {
        ensure!(
            std::time::Instant::now() < deadline,
            "the relay stands still"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// How often each position is in Kafka.
pub fn counts(records: &[OwnedMessage]) -> BTreeMap<(u8, u64), usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let number = |name| header_of(record, name).and_then(|text| text.parse::<u64>().ok());
        if let (Some(lane), Some(seq)) = (number(header::LANE), number(header::SEQ)) {
            *counts.entry((lane as u8, seq)).or_default() += 1;
        }
    }
    counts
}

/// Publishes the records once more, as they are.
pub async fn publish_again(world: &World, records: &[OwnedMessage]) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.surroundings().endpoints.kafka)
        .create()?;
    for record in records {
        let mut again =
            FutureRecord::<[u8], [u8]>::to(record.topic()).partition(record.partition());
        again = again.payload(record.payload().unwrap_or_default());
        again = again.key(record.key().unwrap_or_default());
        if let Some(headers) = record.headers() {
            again = again.headers(headers.clone());
        }
        producer
            .send(again, LIMIT)
            .await
            .map_err(|(error, _)| error)?;
    }
    Ok(())
}

fn header_of(record: &OwnedMessage, name: &str) -> Option<String> {
    let headers = record.headers()?;
    let header = headers.iter().find(|header| header.key == name)?;
    String::from_utf8(header.value?.to_vec()).ok()
}
