//! Who is not let in, by whom, and what is said of it: a server of another authority or name by
//! us, a client without password, certificate or encryption by the server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chassis::config::{
    ElasticsearchAccessArgs, ElasticsearchArgs, KafkaArgs, KafkaSecurityArgs, SaslMechanism,
    SecurityProtocol,
};
use chassis::elasticsearch::Elasticsearch;
use chassis::kafka::KafkaBrokers;
use chassis::postgres::{Session, Target, connect_alone};
use chassis::telemetry::Chain;
use e2e::certificates::Authority;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use std::sync::mpsc::{Receiver, Sender, channel};
use testbed::stack::{Endpoints, Security};
use tokio::runtime::Handle;

use super::security;

const LIMIT: Duration = Duration::from_secs(10);

/// `127.0.0.1` by the name that no certificate holds.
fn by_another_name(address: &str) -> String {
    address.replace("127.0.0.1", "localhost")
}

pub async fn of_postgres(endpoints: &Endpoints, stranger: &Authority) -> Result<()> {
    let url = &endpoints.postgres;
    let ours = security(endpoints)?;
    let other = stranger.file();
    let replaced = |what: &str, by: &str| url.replace(what, by);
    let ca_file = ours.ca_file.display().to_string();
    let (plain, _) = url.split_once('?').context("a URL with parameters")?;
    let (no_certificate, _) = url.split_once("&sslcert").context("a client certificate")?;
    let refused = [
        (
            replaced(&ca_file, &other.display().to_string()),
            "UnknownIssuer",
        ),
        (by_another_name(url), "not valid for name \"localhost\""),
        (plain.to_owned(), "no encryption"),
        (no_certificate.to_owned(), "certificate"),
        (
            replaced(&ours.password, "guessed"),
            "password authentication failed",
        ),
    ];
    for (url, reason) in refused {
        let target = Target::new(&url.into(), "e2e", Session::Reader)?;
        let told = match connect_alone(&target, &Handle::current()).await {
            Ok(_) => bail!("postgres let in whom it should refuse: {reason}"),
            Err(error) => Chain(&error).to_string(),
        };
        ensure!(told.contains(reason), "{reason}: {told}");
    }
    Ok(())
}

pub async fn of_elasticsearch(endpoints: &Endpoints, stranger: &Authority) -> Result<()> {
    let ours = security(endpoints)?;
    let url = &endpoints.elasticsearch;
    let access = ElasticsearchAccessArgs {
        ca_file: Some(ours.ca_file.clone()),
        api_key: None,
        username: Some(Security::USER.to_owned()),
        password: Some(ours.password.as_str().into()),
    };
    let anonymous = ElasticsearchAccessArgs {
        username: None,
        password: None,
        ..access.clone()
    };
    let guessing = ElasticsearchAccessArgs {
        password: Some("guessed".into()),
        ..access.clone()
    };
    let of_stranger = ElasticsearchAccessArgs {
        ca_file: Some(stranger.file()),
        ..access.clone()
    };
    let plain = ElasticsearchAccessArgs {
        ca_file: None,
        ..access.clone()
    };
    let refused = [
        (url.clone(), of_stranger, "UnknownIssuer"),
        (by_another_name(url), access, "not valid for name"),
        (url.replace("https", "http"), plain, "no connection"),
        (url.clone(), anonymous, "refused with 401"),
        (url.clone(), guessing, "refused with 401"),
    ];
    for (url, access, reason) in refused {
        let client = Elasticsearch::connect(&ElasticsearchArgs { url, access }, LIMIT)?;
        let told = match client.ping().await {
            Ok(()) => bail!("elasticsearch let in whom it should refuse: {reason}"),
            Err(error) => Chain(&error).to_string(),
        };
        ensure!(told.contains(reason), "{reason}: {told}");
    }
    Ok(())
}

pub async fn of_kafka(endpoints: &Endpoints, stranger: &Authority) -> Result<()> {
    let ours = security(endpoints)?;
    let secured = KafkaSecurityArgs {
        protocol: SecurityProtocol::SaslSsl,
        mechanism: Some(SaslMechanism::ScramSha512),
        sasl_username: Some(Security::USER.to_owned()),
        sasl_password: Some(ours.password.as_str().into()),
        ca_file: Some(ours.ca_file.clone()),
        certificate_file: Some(ours.client_certificate_file.clone()),
        key_file: Some(ours.client_key_file.clone()),
    };
    let of_stranger = KafkaSecurityArgs {
        ca_file: Some(stranger.file()),
        ..secured.clone()
    };
    let guessing = KafkaSecurityArgs {
        sasl_password: Some("guessed".into()),
        ..secured.clone()
    };
    let address = &endpoints.kafka;
    let refused = [
        (address.clone(), of_stranger, "certificate verify failed"),
        (
            by_another_name(address),
            secured,
            "certificate verify failed",
        ),
        (address.clone(), guessing, "Authentication failed"),
    ];
    for (bootstrap, security, reason) in refused {
        let args = KafkaArgs {
            bootstrap,
            partitions: 1,
            security,
        };
        let brokers = KafkaBrokers::new(&args)?;
        tokio::task::spawn_blocking(move || hear(&brokers, reason)).await??;
    }
    Ok(())
}

/// What the library says, as it says it.
struct Heard(Sender<String>);

impl ClientContext for Heard {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        self.0.send(message.to_owned()).ok();
    }

    fn error(&self, _: KafkaError, reason: &str) {
        self.0.send(reason.to_owned()).ok();
    }
}

impl ConsumerContext for Heard {}

/// Tries to get in until the reason is given.
fn hear(brokers: &KafkaBrokers, reason: &str) -> Result<()> {
    let (sender, said): (Sender<String>, Receiver<String>) = channel();
    let consumer: BaseConsumer<Heard> = brokers
        .client_config()
        .set("group.id", "tidemark-refused")
        .set_log_level(RDKafkaLogLevel::Info)
        .create_with_context(Heard(sender))?;
    let deadline = Instant::now() + LIMIT;
    let mut told = Vec::new();
    while Instant::now() < deadline {
        consumer.poll(Duration::ZERO);
        let asked = consumer.fetch_metadata(None, Duration::from_millis(500));
        ensure!(
            asked.is_err(),
            "kafka let in whom it should refuse: {reason}"
        );
        told.extend(said.try_iter());
        if told.iter().any(|line| line.contains(reason)) {
            return Ok(());
        }
    }
    bail!("{reason}: {told:?}")
}
