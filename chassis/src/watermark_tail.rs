//! Following the watermark topic: what a process knows of builds and of how far they are visible.
//!
//! The whole topic is read, without a group. `G` moves only through records that compaction cannot
//! have thinned out, or at the end of the partition, so it never claims a prefix with holes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::topic::Names;
use schemas::watermark::{Change, Record, WatermarkState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Deadline};
use crate::health::Probe;
use crate::kafka;
use crate::retry::Backoff;

/// `min.compaction.lag.ms` of the topic: younger records are all there.
pub const COMPACTION_LAG: Duration = Duration::from_secs(60);

const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct WatermarkTail {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<WatermarkState>,
    changes: watch::Sender<u64>,
    complete: watch::Sender<bool>,
    /// Lowest offset that has not been applied.
    next: watch::Sender<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error("follow the watermark topic")]
    Consumer(#[from] KafkaError),
}

#[derive(Debug, thiserror::Error)]
#[error("the watermark topic was not read so far in time")]
pub struct NotComplete;

impl WatermarkTail {
    /// Starts to follow the topic until `shutdown`. `probe` is up once the end was reached, and
    /// down while Kafka is away. Where the topic starts anew under this process, `shutdown` is
    /// cancelled: it is another history.
    pub fn spawn(
        bootstrap: &str,
        names: &Names,
        shutdown: CancellationToken,
        probe: Probe,
    ) -> Result<Self, TailError> {
        let consumer: StreamConsumer = kafka::tail_config(bootstrap).create()?;
        let shared = Arc::new(Shared {
            state: RwLock::new(WatermarkState::new(names.epoch())),
            changes: watch::channel(0).0,
            complete: watch::channel(false).0,
            next: watch::channel(0).0,
        });
        let follower = Follower {
            shared: Arc::clone(&shared),
            topic: names.watermarks(),
            probe,
        };
        tokio::spawn(follower.run(consumer, shutdown));
        Ok(Self { shared })
    }

    /// Reads the state as it is now. Short: the topic is not followed meanwhile.
    pub fn read<T>(&self, read: impl FnOnce(&WatermarkState) -> T) -> T {
        read(
            &self
                .shared
                .state
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Wakes whenever lanes became visible or builds changed. The number says nothing.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Waits until the whole topic was read once.
    pub async fn complete(&self, deadline: Deadline) -> Result<(), NotComplete> {
        let mut complete = self.shared.complete.subscribe();
        let reached = deadline.run(complete.wait_for(|complete| *complete)).await;
        reached
            .ok()
            .and_then(Result::ok)
            .map(|_| ())
            .ok_or(NotComplete)
    }

    /// Waits until the record at this offset was applied: to see what one has published oneself.
    pub async fn reach(&self, offset: u64, deadline: Deadline) -> Result<(), NotComplete> {
        let mut next = self.shared.next.subscribe();
        let reached = deadline.run(next.wait_for(|next| *next > offset)).await;
        reached
            .ok()
            .and_then(Result::ok)
            .map(|_| ())
            .ok_or(NotComplete)
    }
}

struct Follower {
    shared: Arc<Shared>,
    topic: String,
    probe: Probe,
}

impl Follower {
    async fn run(self, consumer: StreamConsumer, shutdown: CancellationToken) {
        let consumer = Arc::new(consumer);
        let follow = async {
            self.assign(&consumer).await;
            self.follow(&consumer).await;
        };
        if shutdown.run_until_cancelled(follow).await.is_some() {
            tracing::error!("the watermark topic starts anew: this is another history");
            shutdown.cancel();
        }
        // Closing a consumer blocks for a moment.
        tokio::task::spawn_blocking(move || drop(consumer));
    }

    /// Waits until the topic exists, then takes its only partition.
    async fn assign(&self, consumer: &Arc<StreamConsumer>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        while !self.exists(consumer).await {
            self.probe.down("the watermark topic is not there yet");
            backoff.pause().await;
        }
        let mut partitions = TopicPartitionList::new();
        partitions
            .add_partition_offset(&self.topic, 0, Offset::Beginning)
            .expect("the beginning is a valid offset");
        consumer
            .assign(&partitions)
            .expect("an assignment by hand needs no group");
    }

    async fn exists(&self, consumer: &Arc<StreamConsumer>) -> bool {
        let (consumer, topic) = (Arc::clone(consumer), self.topic.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = consumer
                .fetch_metadata(Some(&topic), METADATA_TIMEOUT)
                .ok()?;
            let topic = metadata.topics().first()?;
            Some(topic.error().is_none() && !topic.partitions().is_empty())
        });
        asked.await.ok().flatten().unwrap_or(false)
    }

    /// Ends only when the topic is found to start anew.
    async fn follow(&self, consumer: &StreamConsumer) {
        loop {
            match consumer.recv().await {
                Ok(message) => {
                    let offset = u64::try_from(message.offset()).unwrap_or(0);
                    if offset < *self.shared.next.borrow() {
                        return;
                    }
                    self.apply(offset, &message);
                    self.shared.next.send_replace(offset + 1);
                }
                Err(KafkaError::PartitionEOF(_)) => self.settle_at_end(),
                Err(error) => self.fault(&error),
            }
        }
    }

    fn apply(&self, offset: u64, message: &BorrowedMessage<'_>) {
        let record = match Record::parse(message.key().unwrap_or_default(), message.payload()) {
            Ok(record) => record,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    kafka.offset = offset,
                    error,
                    "a watermark record is unreadable"
                );
                return;
            }
        };
        let written = message.timestamp().to_millis().unwrap_or(0);
        let age = clock::now().timestamp_millis().saturating_sub(written);
        let change = {
            let mut state = self
                .shared
                .state
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let change = state.apply(offset, record);
            if u128::try_from(age).unwrap_or(0) < COMPACTION_LAG.as_millis() {
                state.settle(false);
            }
            change
        };
        self.probe_up();
        if matches!(change, Change::Visible | Change::Builds) {
            self.shared.changes.send_modify(|number| *number += 1);
        }
    }

    fn settle_at_end(&self) {
        self.shared
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .settle(true);
        self.shared.complete.send_replace(true);
        self.probe_up();
        self.shared.changes.send_modify(|number| *number += 1);
    }

    fn probe_up(&self) {
        if *self.shared.complete.borrow() {
            self.probe.up();
        }
    }

    fn fault(&self, error: &KafkaError) {
        // Deaf for a moment is not down: librdkafka reconnects, and reports only what lasts.
        let down = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
        );
        if down {
            self.probe.down("kafka does not answer");
        }
        let error: &dyn std::error::Error = error;
        tracing::debug!(error, "the watermark topic cannot be read");
    }
}
