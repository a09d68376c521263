//! Small questions to each server, for the stories.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;
use testbed::stack::Endpoints;
use tokio_postgres::{Client, NoTls};

/// Asks again until the answer is yes.
pub(crate) async fn wait_until(what: &str, holds: impl AsyncFnMut() -> bool) {
    testbed::eventually(what, Duration::from_secs(60), holds).await;
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

pub(crate) async fn put(endpoints: &Endpoints, path: &str, body: &Value) {
    let url = format!("{}/{path}", endpoints.elasticsearch);
    let response = http().put(url).json(body).send().await.unwrap();
    let status = response.status();
    assert!(
        status.is_success(),
        "PUT {path}: {status} {}",
        response.text().await.unwrap()
    );
}

/// `None` unless the answer is a success.
pub(crate) async fn get(endpoints: &Endpoints, path: &str) -> Option<Value> {
    let url = format!("{}/{path}", endpoints.elasticsearch);
    let response = http().get(url).send().await.ok()?;
    if response.status().is_success() {
        response.json().await.ok()
    } else {
        None
    }
}

pub(crate) async fn create_topic(endpoints: &Endpoints, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = kafka(endpoints).create().unwrap();
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    for result in admin.create_topics([&topic], &options).await.unwrap() {
        result.unwrap();
    }
}

pub(crate) async fn produce(endpoints: &Endpoints, topic: &str, text: &str) {
    let producer: FutureProducer = kafka(endpoints).set("acks", "all").create().unwrap();
    let record: FutureRecord<'_, (), str> = FutureRecord::to(topic).payload(text);
    producer
        .send(record, Duration::from_secs(20))
        .await
        .unwrap();
}

/// The first message of a topic.
pub(crate) async fn first_message(endpoints: &Endpoints, topic: &str) -> String {
    let consumer: StreamConsumer = kafka(endpoints).set("group.id", topic).create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    let message = tokio::time::timeout(Duration::from_secs(30), consumer.recv());
    let message = message.await.expect("a message in time").unwrap();
    String::from_utf8_lossy(message.payload().unwrap()).into_owned()
}

fn kafka(endpoints: &Endpoints) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &endpoints.kafka)
        .set("log_level", "0");
    config
}

/// Whether anybody accepts connections there.
pub(crate) async fn accepts(address: &str) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// `host:port` of each server.
pub(crate) fn addresses(endpoints: &Endpoints) -> Vec<String> {
    let postgres = endpoints.postgres.split(['@', '/']).nth(3).unwrap();
    let elasticsearch = endpoints.elasticsearch.trim_start_matches("http://");
    [postgres, &endpoints.kafka, elasticsearch]
        .map(str::to_owned)
        .into()
}
