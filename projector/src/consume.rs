//! Consumes the events topic: the fast path for the next events of each lane.
//!
//! The consumer is always polled, also while its partitions are paused, so that it stays in its
//! group. Dropped records are not lost: every gap is filled from the event table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::health::Probe;
use chassis::kafka::{self, KafkaBrokers};
use chassis::retry::Backoff;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::consumer::{StreamConsumer, stream_consumer::StreamConsumer as Stream};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use schemas::event::record;
use schemas::topic::Names;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{METADATA_INTERVAL, METADATA_TIMEOUT};
use crate::metrics;
use crate::project::LogEntry;
use crate::version::version;

mod assignment;
mod gather;

pub use assignment::{Assignment, Ownership};
pub use gather::{Arrival, Gather};

/// For each partition, the offset at which a successor continues.
pub type Offsets = BTreeMap<i32, i64>;

/// A member of the projectors' group.
pub struct Follower {
    consumer: Arc<Stream<Rebalances>>,
    assignment: watch::Receiver<Assignment>,
    topic: String,
    names: Names,
    gather: Gather,
    probe: Probe,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Records assignments. Never blocks.
#[derive(Debug)]
pub struct Rebalances {
    assignment: watch::Sender<Assignment>,
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let numbers = |list: &TopicPartitionList| -> Vec<i32> {
            list.elements().iter().map(|one| one.partition()).collect()
        };
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = numbers(list);
                tracing::info!(kafka.partitions = ?partitions, "partitions assigned");
                self.assignment
                    .send_modify(|assignment| assignment.assign(partitions));
            }
            Rebalance::Revoke(list) => {
                let partitions = numbers(list);
                tracing::info!(kafka.partitions = ?partitions, "partitions revoked");
                self.assignment
                    .send_modify(|assignment| assignment.revoke(partitions));
            }
            Rebalance::Error(error) => {
                tracing::warn!(%error, "failed to rebalance the consumer group")
            }
        }
    }
}

/// The group of all projectors that know the same views in the same versions.
pub fn group(names: &Names) -> String {
    let mut digest = Sha256::new();
    for view in schemas::view::View::ALL {
        digest.update(format!("{}={};", view.name(), version(view)));
    }
    let hash: String = digest.finalize()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    names.group(&hash)
}

impl Follower {
    pub fn new(
        brokers: &KafkaBrokers,
        names: &Names,
        gather: Gather,
        probe: Probe,
    ) -> Result<Self, KafkaError> {
        let (sender, assignment) = watch::channel(Assignment::default());
        let context = Rebalances { assignment: sender };
        // Without a committed offset, the fill reads everything up to now; gaps are filled anyway.
        let consumer: StreamConsumer<Rebalances> = kafka::consumer_config(brokers, &group(names))
            .set("auto.offset.reset", "latest")
            .set("reconnect.backoff.max.ms", "500")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .create_with_context(context)?;
        Ok(Self {
            consumer: Arc::new(consumer),
            assignment,
            topic: names.events(),
            names: names.clone(),
            gather,
            probe,
        })
    }

    /// Waits until the topic exists, and returns its number of partitions.
    pub async fn partitions(&self) -> i32 {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            if let Some(count) = self.ask_partitions().await {
                return count;
            }
            self.probe.down("the events topic does not exist yet");
            backoff.pause().await;
        }
    }

    /// None if Kafka does not answer or the topic does not exist.
    async fn ask_partitions(&self) -> Option<i32> {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = consumer
                .fetch_metadata(Some(&topic), METADATA_TIMEOUT)
                .ok()?;
            let topic = metadata.topics().first()?;
            let count = i32::try_from(topic.partitions().len()).ok()?;
            (topic.error().is_none() && count > 0).then_some(count)
        });
        asked.await.ok().flatten()
    }

    /// Notices that Kafka is back while nothing arrives, and that the topic has grown while none of
    /// the new partitions is assigned to this process.
    async fn look_after(&self) {
        loop {
            tokio::time::sleep(METADATA_INTERVAL).await;
            if let Some(count) = self.ask_partitions().await {
                self.probe.up();
                let assignment = &self.consumer.context().assignment;
                assignment.send_if_modified(|assignment| assignment.see(count));
            }
        }
    }

    pub fn assignment(&self) -> watch::Receiver<Assignment> {
        self.assignment.clone()
    }

    /// Runs until `shutdown`, then leaves the group, so that others take over at once.
    pub async fn run(self, commits: watch::Receiver<Offsets>, shutdown: CancellationToken) {
        if let Err(error) = self.consumer.subscribe(&[&self.topic]) {
            tracing::error!(%error, "failed to subscribe to the events topic");
            return;
        }
        let following = async {
            tokio::join!(self.follow(commits.clone()), self.look_after());
        };
        shutdown.run_until_cancelled(following).await;
        let commits = commits.borrow().clone();
        let left = tokio::task::spawn_blocking(move || {
            self.commit(&commits, CommitMode::Sync);
            drop(self);
        });
        left.await.ok();
    }

    async fn follow(&self, mut commits: watch::Receiver<Offsets>) {
        let mut paused = false;
        loop {
            tokio::select! {
                message = self.consumer.recv() => {
                    match message {
                        Ok(message) => self.take_in(&message),
                        Err(error) => self.fault(&error),
                    }
                    if self.gather.is_full() {
                        paused = true;
                        self.change(|list| self.consumer.pause(list));
                    }
                }
                () = self.gather.taken(), if paused => {
                    if self.gather.has_room() {
                        paused = false;
                        self.change(|list| self.consumer.resume(list));
                    }
                }
                changed = commits.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let offsets = commits.borrow_and_update().clone();
                    self.commit(&offsets, CommitMode::Async);
                }
            }
        }
    }

    fn change(&self, change: impl Fn(&TopicPartitionList) -> Result<(), KafkaError>) {
        let changed = self.consumer.assignment().and_then(|list| change(&list));
        if let Err(error) = changed {
            tracing::warn!(%error, "failed to pause or resume partitions");
        }
    }

    fn take_in(&self, message: &BorrowedMessage<'_>) {
        self.probe.up();
        let partition = message.partition();
        let Some(assignment) = self.assignment.borrow().number(partition) else {
            return;
        };
        if let Some(entry) = self.read(message) {
            self.gather.push(Arrival {
                partition,
                offset: message.offset(),
                assignment,
                entry,
            });
        }
    }

    fn read(&self, message: &BorrowedMessage<'_>) -> Option<LogEntry> {
        let headers = message.headers()?;
        let header_of = |name: &'static str| {
            let mut named = headers.iter().filter(|header| header.key == name);
            named.next().and_then(|header| header.value)
        };
        let (epoch, position, event_id) = match record::place(header_of) {
            Ok(place) => place,
            Err(error) => {
                metrics::record_dropped("unreadable");
                tracing::warn!(kafka.offset = message.offset(), %error, "failed to parse a record");
                return None;
            }
        };
        if epoch != self.names.epoch() {
            metrics::record_dropped("foreign");
            return None;
        }
        let payload = message.payload().unwrap_or_default();
        let envelope = record::parse(header_of, payload);
        Some(LogEntry::from_record(
            position,
            event_id,
            payload.len(),
            envelope,
        ))
    }

    fn commit(&self, offsets: &Offsets, mode: CommitMode) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            if self.assignment.borrow().number(*partition).is_some() {
                list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                    .expect("a plain offset is valid");
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&list, mode) {
            tracing::debug!(%error, "failed to commit offsets");
        }
    }

    fn fault(&self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.probe.down("kafka does not answer");
        }
        tracing::debug!(%error, "failed to read the events topic");
    }
}
