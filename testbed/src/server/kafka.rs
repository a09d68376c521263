//! Kafka in KRaft mode: broker and controller in one process.

use std::{fmt::Write, fs, time::Duration};

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::{Server, Site, launch::Launch};
use crate::{endpoints::Endpoints, security::Security, user};

mod security;

/// Kept in step with `docker/compose.yaml`; a test compares them.
pub const SETTINGS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "4"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("log.cleaner.enable", "true"),
    ("log.cleaner.backoff.ms", "1000"),
];
/// Any 16 bytes in base64; a data folder belongs to one stack only.
const CLUSTER: &str = "dGlkZW1hcmstbG9jYWwtMQ";

pub(super) async fn prepare(site: &Site) -> Result<Launch> {
    let data = site.data(Server::Kafka);
    let logs = data.join("log");
    user::create_dir_for(site.user, &data)?;
    let file = data.join("server.properties");
    let security = security::settings(site)?;
    fs::write(&file, properties(site, &security)).context("writing Kafka's settings")?;
    if !logs.join("meta.properties").is_file() {
        let format = java(site)
            .arg("-XX:TieredStopAtLevel=1")
            .arg("kafka.tools.StorageTool")
            .arg("format")
            .arg("-t")
            .arg(CLUSTER)
            .arg("-c")
            .arg(&file);
        let format = security::format(site, format);
        format.run_to_end(site, Server::Kafka).await?;
    }
    Ok(java(site)
        .arg("-Xms512m")
        .arg("-Xmx512m")
        .arg("-XX:+ExitOnOutOfMemoryError")
        .arg("kafka.Kafka")
        .arg(&file))
}

fn java(site: &Site) -> Launch {
    let mut classes = site.artifacts.kafka.clone().into_os_string();
    classes.push("/*");
    let mut scratch = std::ffi::OsString::from("-Djava.io.tmpdir=");
    scratch.push(site.scratch());
    Launch::new(
        site.artifacts.jdk.join("bin/java"),
        site.data(Server::Kafka),
    )
    .env("CLASSPATH", classes)
    .arg(scratch)
    .arg("-Dorg.slf4j.simpleLogger.logFile=System.out")
    .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
    .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
}

fn properties(site: &Site, security: &str) -> String {
    let (broker, controller) = (site.ports.kafka, site.ports.kafka_controller);
    let clients = match site.security {
        None => "PLAINTEXT",
        Some(_) => "SASL_SSL",
    };
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,{clients}:{clients}\n\
         inter.broker.listener.name={clients}\n\
         listeners={clients}://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={clients}://127.0.0.1:{broker}\n\
         log.dirs={}\n{security}",
        site.data(Server::Kafka).join("log").display()
    );
    for (name, value) in SETTINGS {
        writeln!(text, "{name}={value}").expect("writing to a string does not fail");
    }
    text
}

/// Asks for the committed offset of a group, which also makes Kafka create its offsets topic, so
/// that the first real consumer does not wait for that.
pub(super) async fn check(endpoints: &Endpoints) -> Result<()> {
    tokio::net::TcpStream::connect(&endpoints.kafka)
        .await
        .context("connecting to Kafka")?;
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &endpoints.kafka)
        .set("group.id", "tidemark-health")
        .set("log_level", "0");
    for (name, value) in endpoints.security.iter().flat_map(Security::kafka) {
        client.set(name, value);
    }
    tokio::task::spawn_blocking(move || ask(&client))
        .await
        .context("asking Kafka")?
}

fn ask(client: &ClientConfig) -> Result<()> {
    let consumer: BaseConsumer = client.create()?;
    let limit = Duration::from_secs(2);
    let metadata = consumer
        .fetch_metadata(None, limit)
        .context("asking Kafka for its metadata")?;
    anyhow::ensure!(!metadata.brokers().is_empty(), "Kafka names no broker yet");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition("tidemark-health", 0);
    consumer
        .committed_offsets(partitions, limit)
        .context("asking Kafka for offsets")?;
    Ok(())
}
