//! The relay: committed events go to Kafka, lane by lane, in order of seq.
//!
//! It remembers its positions coarsely and after acks alone: a crash makes some events come twice,
//! which readers drop by seq, and never skips one. It goes on trying while the process runs; what
//! is not published yet waits in the event table, not in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chassis::clock;
use chassis::health::Probe;
use chassis::kafka::KafkaBrokers;
use chassis::retry::Backoff;
use chassis::shutdown::Shutdown;
use chassis::telemetry::Chain;
use schemas::lane::Position;
use schemas::topic::Names;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::session::{Session, SessionError};

use crate::config::{MAX_PRODUCE_BATCH_BYTES, STEADY_SESSION};

mod progress;
mod session;

mod publisher;
mod row;
mod source;
mod watch;

pub(crate) mod metrics;

#[derive(Debug, Clone)]
pub struct RelayOptions {
    pub database_url: SecretString,
    pub brokers: KafkaBrokers,
    /// Of the events topic, should it have to be created; else the topic's own number counts.
    pub partitions: i32,
    pub names: Names,
}

#[derive(Debug)]
pub struct Relay {
    options: RelayOptions,
    kafka: Probe,
    shared: Arc<Shared>,
}

/// Notifies the relay of commits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RelayHandle {
    shared: Arc<Shared>,
}

/// What the relay and its handles share.
#[derive(Debug, Default)]
struct Shared {
    wake: Notify,
    /// A bit for each owned lane.
    owned: AtomicU64,
}

impl Shared {
    fn own_lanes(&self, mask: u64) {
        self.owned.store(mask, Ordering::Relaxed);
    }
}

impl RelayHandle {
    /// A hint that these were committed: they leave at once, not at the next poll. Never waits.
    pub fn committed(&self, positions: &[Position]) {
        let mask = positions
            .iter()
            .fold(0, |mask, p| mask | 1 << p.lane.number());
        if self.shared.owned.load(Ordering::Relaxed) & mask != 0 {
            self.shared.wake.notify_one();
        }
    }
}

impl Relay {
    /// Runs a relay until `stop`, which comes after the last command was answered.
    pub fn spawn(
        options: RelayOptions,
        shutdown: &Shutdown,
        stop: CancellationToken,
        kafka: Probe,
    ) -> RelayHandle {
        let (relay, handle) = Self::new(options, kafka);
        shutdown.spawn("relay", relay.run(stop));
        handle
    }

    /// A relay that does nothing until it is run.
    pub fn new(options: RelayOptions, kafka: Probe) -> (Self, RelayHandle) {
        metrics::describe();
        let shared = Arc::new(Shared::default());
        let handle = RelayHandle {
            shared: Arc::clone(&shared),
        };
        (
            Self {
                options,
                kafka,
                shared,
            },
            handle,
        )
    }

    /// Ends when the token is cancelled and what was committed has left (for at most 2 s), or when
    /// the database turns out to hold another history.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut batch_bytes = MAX_PRODUCE_BATCH_BYTES;
        let mut failing = false;
        while !stop.is_cancelled() {
            let started = clock::instant();
            match self.one_session(batch_bytes, &stop).await {
                Ok(()) => break,
                Err(error @ SessionError::EpochChanged { .. }) => {
                    tracing::error!(error = %Chain(&error), "the relay stopped");
                    break;
                }
                Err(SessionError::BatchTooLarge) => {
                    batch_bytes = (batch_bytes / 4).max(1);
                    tracing::warn!(
                        kafka.batch_bytes = batch_bytes,
                        "kafka takes small batches only"
                    );
                    continue;
                }
                Err(error) if failing && started.elapsed() < STEADY_SESSION => {
                    tracing::debug!(error = %Chain(&error), "the relay still fails");
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the relay failed, restarting it");
                    failing = true;
                    backoff.reset();
                }
            }
            stop.run_until_cancelled(backoff.pause()).await;
        }
    }

    async fn one_session(
        &self,
        batch_bytes: usize,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let starting = Session::start(&self.options, &self.shared, &self.kafka, batch_bytes);
        let Some(started) = stop.run_until_cancelled(starting).await else {
            return Ok(());
        };
        let mut session = started?;
        let ended = session.run(stop).await;
        session.close().await;
        ended
    }
}
