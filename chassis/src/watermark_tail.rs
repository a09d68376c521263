//! Following the watermark topic: what a process knows of builds and of how far they are visible.
//!
//! The whole topic is read, without a group. `G` moves only through offsets without a hole, or at
//! the end of the partition, so it never claims a prefix with holes; no clock has a say in it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::topic::Names;
use schemas::watermark::{Change, Key, RecordError, WatermarkState};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Deadline};
use crate::health::Probe;
use crate::kafka::{self, KafkaBrokers, TailContext};
use crate::retry::Backoff;
use crate::shutdown::Shutdown;
use crate::telemetry::Chain;

mod waiters;

pub use waiters::{Goal, Level, Wake};

use waiters::Waiters;

const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
const SKIPPED: &str = "tidemark_watermark_records_skipped_total";

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct WatermarkTail {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<WatermarkState>,
    /// The moment that `received` of a record counts from.
    started: Instant,
    waiters: Arc<Waiters>,
    changes: watch::Sender<u64>,
    complete: watch::Sender<bool>,
    /// Lowest offset that has not been applied.
    next: watch::Sender<u64>,
    /// When a record was last read.
    heard: watch::Sender<Instant>,
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
    /// Follows the topic until the shutdown. `probe` is up once the end was reached, and down while
    /// Kafka is away. Where the topic starts anew under this process, it
    /// is another history: the process stops, as it does when the task that follows ends otherwise.
    pub fn spawn(
        brokers: &KafkaBrokers,
        names: &Names,
        shutdown: &Shutdown,
        probe: Probe,
    ) -> Result<Self, TailError> {
        let consumer: StreamConsumer<TailContext> =
            kafka::tail_config(brokers).create_with_context(TailContext)?;
        let shared = Arc::new(Shared {
            state: RwLock::new(WatermarkState::new(names.epoch())),
            started: clock::instant(),
            waiters: Arc::default(),
            changes: watch::channel(0).0,
            complete: watch::channel(false).0,
            next: watch::channel(0).0,
            heard: watch::channel(clock::instant()).0,
        });
        let follower = Follower {
            shared: Arc::clone(&shared),
            topic: names.watermarks(),
            probe,
        };
        let follow = follower.run(consumer, shutdown.token());
        shutdown.spawn("watermark-tail", follow);
        Ok(Self { shared })
    }

    /// Reads the state as it is now. Short: the topic is not followed at the same time.
    pub fn read<T>(&self, read: impl FnOnce(&WatermarkState) -> T) -> T {
        self.shared.read(read)
    }

    /// Whether the topic has ever been read to its end.
    pub fn has_reached_end(&self) -> bool {
        self.shared.has_reached_end()
    }

    /// How long ago the last record was read.
    pub fn silence(&self) -> Duration {
        self.shared.heard.borrow().elapsed()
    }

    /// The key of a record of a known kind that cannot be read: while there is one, what is known
    /// here is not all that there is to know.
    pub fn unreadable(&self) -> Option<String> {
        self.read(|state| {
            let key = state.unreadable().next()?;
            Some(String::from_utf8_lossy(key).into_owned())
        })
    }

    /// Reads the state and, where `read` names a goal, joins those who wait for it. No change falls
    /// between both.
    pub fn read_or_wait<T>(
        &self,
        read: impl FnOnce(&WatermarkState) -> (T, Option<Goal>),
    ) -> (T, Option<Wake>) {
        self.read(|state| {
            let (answer, goal) = read(state);
            (answer, goal.map(|goal| self.shared.waiters.wait_for(goal)))
        })
    }

    /// The time that `LaneState::received` is compared with.
    pub fn now(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Wakes whenever lanes became visible or builds changed, and at the end of the topic. The
    /// number says nothing.
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

impl Shared {
    fn has_reached_end(&self) -> bool {
        *self.complete.borrow()
    }

    fn read<T>(&self, read: impl FnOnce(&WatermarkState) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut WatermarkState) -> T) -> T {
        write(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes the readers whose goals the state has reached; all of them where it says more than
    /// that.
    fn wake(&self, was_complete: bool, change: Change) {
        let is_complete = self.read(WatermarkState::is_complete);
        if change == Change::Builds || was_complete != is_complete {
            self.waiters.release_all();
            return;
        }
        self.read(|state| {
            self.waiters.release(|level| match level {
                Level::Visible(..) if change != Change::Visible => None,
                Level::Visible(view, lane) => {
                    let build = state.view(view.name())?.active_build()?;
                    Some(build.visible.get(lane))
                }
                Level::OffsetRead => Some(state.offset_read()),
                Level::Builds => None,
            });
        });
    }
}

struct Follower {
    shared: Arc<Shared>,
    topic: String,
    probe: Probe,
}

impl Follower {
    /// Ends with the token, or when the topic cannot be followed any longer.
    async fn run(self, consumer: StreamConsumer<TailContext>, token: CancellationToken) {
        let consumer = Arc::new(consumer);
        let follow = async {
            self.assign(&consumer).await;
            self.follow(&consumer).await;
        };
        token.run_until_cancelled(follow).await;
        // Closing a consumer blocks for a moment.
        tokio::task::spawn_blocking(move || drop(consumer));
    }

    /// Waits until the topic exists, then takes its only partition.
    async fn assign(&self, consumer: &Arc<StreamConsumer<TailContext>>) {
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

    async fn exists(&self, consumer: &Arc<StreamConsumer<TailContext>>) -> bool {
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

    async fn follow(&self, consumer: &StreamConsumer<TailContext>) {
        loop {
            match consumer.recv().await {
                Ok(message) => {
                    let offset = u64::try_from(message.offset()).unwrap_or(0);
                    if offset < *self.shared.next.borrow() {
                        tracing::error!("the watermark topic starts anew: this is another history");
                        return;
                    }
                    self.apply(offset, &message);
                    self.shared.next.send_replace(offset + 1);
                    self.shared.heard.send_replace(clock::instant());
                }
                Err(KafkaError::PartitionEOF(_)) => self.reach_end(),
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => {
                    tracing::error!(error = %Chain(&error), "the watermark topic cannot be read");
                    return;
                }
                Err(error) => self.fault(&error),
            }
        }
    }

    fn apply(&self, offset: u64, message: &BorrowedMessage<'_>) {
        let received = self.shared.started.elapsed();
        let (key, value) = (message.key().unwrap_or_default(), message.payload());
        let (was_complete, read) = self.shared.write(|state| {
            let was_complete = state.is_complete();
            (was_complete, state.read(offset, key, value, received))
        });
        let change = match read {
            Ok(change) => change,
            Err(error) => {
                skip(offset, key, &error);
                Change::Nothing
            }
        };
        if self.shared.has_reached_end() {
            self.probe.up();
        }
        self.shared.wake(was_complete, change);
        if matches!(change, Change::Visible | Change::Builds) {
            self.shared.changes.send_modify(|number| *number += 1);
        }
    }

    fn reach_end(&self) {
        let was_complete = self.shared.write(|state| {
            let was_complete = state.is_complete();
            state.reach_end();
            was_complete
        });
        self.shared.complete.send_replace(true);
        self.probe.up();
        self.shared.wake(was_complete, Change::Nothing);
        self.shared.changes.send_modify(|number| *number += 1);
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

fn skip(offset: u64, key: &[u8], error: &RecordError) {
    let error = Chain(error);
    if Key::is_of_known_kind(key) {
        metrics::counter!(SKIPPED, "reason" => "unreadable").increment(1);
        tracing::error!(kafka.offset = offset, %error, "a watermark record is unreadable");
    } else {
        metrics::counter!(SKIPPED, "reason" => "unknown_kind").increment(1);
        tracing::debug!(kafka.offset = offset, %error, "a watermark record is of an unknown kind");
    }
}
