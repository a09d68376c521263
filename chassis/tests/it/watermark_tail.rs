//! Following a real watermark topic: what is known of it, what the log says, and how it ends.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::clock::Deadline;
use chassis::health::Health;
use chassis::kafka::{KafkaBrokers, ensure_topic, producer_config};
use chassis::shutdown::Shutdown;
use chassis::watermark_tail::WatermarkTail;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::id::Epoch;
use schemas::topic::Names;
use schemas::watermark::WatermarkState;

use crate::Corner;

const LIMIT: Duration = Duration::from_secs(20);
const KEY: &str = "wish/products/0190b7a0-0000-7000-8000-000000000001";
const WISH: &str = r#"{"epoch":1,"kind":"replay","at":"2026-01-01T00:00:00Z"}"#;

/// A topic that a process follows.
struct Followed {
    corner: Corner,
    names: Names,
    producer: FutureProducer,
    shutdown: Shutdown,
    tail: WatermarkTail,
}

impl Followed {
    /// With one record, read to its end.
    async fn open() -> Self {
        let corner = Corner::take().await;
        let brokers = KafkaBrokers::plain(corner.namespace.endpoints().kafka.as_str());
        let names = Names::new(corner.namespace.prefix.as_str(), Epoch(1));
        create(&brokers, &names).await;
        let shutdown = Shutdown::default();
        let probe = Health::default().dependency("kafka");
        let followed = Self {
            producer: producer_config(&brokers).create().unwrap(),
            tail: WatermarkTail::spawn(&brokers, &names, &shutdown, probe).unwrap(),
            corner,
            names,
            shutdown,
        };
        followed.put(KEY, WISH).await;
        let deadline = Deadline::within(LIMIT);
        followed.tail.complete(deadline).await.unwrap();
        followed
    }

    /// Publishes a record and waits until it is read.
    async fn put(&self, key: &str, value: &str) {
        let offset = publish(&self.producer, &self.names, key, value).await;
        let deadline = Deadline::within(LIMIT);
        self.tail.reach(offset, deadline).await.unwrap();
    }

    /// Waits until the end was reached after the last record.
    async fn until_complete(&self) {
        let mut changes = self.tail.changes();
        let complete = async {
            while !self.tail.read(WatermarkState::is_complete) {
                changes.changed().await.unwrap();
            }
        };
        Deadline::within(LIMIT).run(complete).await.unwrap();
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

async fn create(brokers: &KafkaBrokers, names: &Names) {
    let settings = [("cleanup.policy", "compact")];
    let (topic, deadline) = (names.watermarks(), Deadline::within(LIMIT));
    ensure_topic(brokers, &topic, 1, &settings, deadline)
        .await
        .unwrap();
}

async fn publish(producer: &FutureProducer, names: &Names, key: &str, value: &str) -> u64 {
    let topic = names.watermarks();
    let record = FutureRecord::to(&topic).partition(0).key(key);
    let sent = producer.send(record.payload(value), LIMIT).await;
    u64::try_from(sent.unwrap().offset).unwrap()
}

/// What is logged on this thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn errors(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let errors = text.lines().filter(|line| line.contains("ERROR"));
        errors.map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that all that is logged is captured.
#[tokio::test]
async fn the_end_of_the_topic_is_not_an_error_in_the_log() {
    let log = Log::default();
    let _capture = log.capture();
    let followed = Followed::open().await;
    followed.put(KEY, WISH).await;
    followed.until_complete().await;
    assert_eq!(log.errors(), Vec::<String>::new());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_until_one_with_its_key_can() {
    let followed = Followed::open().await;
    followed.until_complete().await;
    assert_eq!(followed.tail.unreadable(), None);
    followed.put(KEY, "{}").await;
    assert_eq!(followed.tail.unreadable().as_deref(), Some(KEY));
    followed.put("pin/products", "{}").await;
    let still = followed.tail.unreadable();
    assert_eq!(still.as_deref(), Some(KEY), "another key mends nothing");
    followed.put(KEY, WISH).await;
    assert_eq!(followed.tail.unreadable(), None);
    followed.put("pin/products", "{}").await;
    assert_eq!(
        followed.tail.unreadable(),
        None,
        "unknown kinds are passed over"
    );
}

#[tokio::test]
async fn a_topic_that_starts_anew_ends_the_process_with_an_error() {
    let followed = Followed::open().await;
    followed.put(KEY, WISH).await;
    let brokers = KafkaBrokers::plain(followed.corner.namespace.endpoints().kafka.as_str());
    let config = brokers.client_config();
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let (topic, options) = (followed.names.watermarks(), AdminOptions::new());
    admin.delete_topics(&[&topic], &options).await.unwrap();
    create(&brokers, &followed.names).await;
    publish(&followed.producer, &followed.names, KEY, WISH).await;
    let token = followed.shutdown.token();
    Deadline::within(LIMIT)
        .run(token.cancelled())
        .await
        .unwrap();
    Deadline::within(LIMIT)
        .run(async {
            while !followed.shutdown.has_failed() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
}
