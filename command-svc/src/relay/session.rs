//! One session of the relay: a connection, a producer, and the lanes it owns, until either fails.
//!
//! Events leave in order of seq, many in flight at once, and a position is remembered after acks
//! alone. So whatever ends a session, the next one begins at or before the first event without an
//! ack.

use std::sync::Arc;

use chassis::clock::{self, Deadline};
use chassis::crash_point;
use chassis::health::Probe;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::id::Epoch;
use schemas::lane::{Lane, Position};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::progress::{GapInLog, Progress};
use super::publisher::{Publisher, Report, Sent};
use super::source::{Source, SourceError};
use super::watch::KafkaWatch;
use super::{RelayOptions, Shared, metrics};
use crate::config::{
    MAINTENANCE_INTERVAL, MAX_EVENTS_IN_FLIGHT, MIN_READ_INTERVAL, POLL_INTERVAL,
    RELAY_DRAIN_TIMEOUT, TOPIC_CHECK_TIMEOUT,
};
use crate::topics::{TopicError, ensure_events};

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("relay events from postgres")]
    Source(#[from] SourceError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("use kafka")]
    Kafka(#[from] KafkaError),
    #[error("publish events")]
    Interrupted(#[source] RDKafkaErrorCode),
    #[error("publish events in batches of that size")]
    BatchTooLarge,
    #[error("the topic was deleted or has more partitions now")]
    TopicChanged,
    #[error("publish the log in order")]
    Gap(#[from] GapInLog),
    #[error("the database holds epoch {found}, this process started with another")]
    EpochChanged { found: Epoch },
}

#[derive(Debug)]
pub struct Session<'a> {
    options: &'a RelayOptions,
    shared: &'a Shared,
    kafka: KafkaWatch<'a>,
    source: Source,
    publisher: Publisher,
    reports: UnboundedReceiver<Report>,
    batch_bytes: usize,
    partitions: i32,
    owned: Vec<i32>,
    progress: Progress,
    last_read: Instant,
    next_read: Instant,
    next_maintenance: Instant,
}

impl<'a> Session<'a> {
    pub async fn start(
        options: &'a RelayOptions,
        shared: &'a Arc<Shared>,
        kafka: &'a Probe,
        batch_bytes: usize,
    ) -> Result<Self, SessionError> {
        let source = Source::connect(&options.database_url).await?;
        let found = source.epoch().await?;
        if found != options.names.epoch() {
            return Err(SessionError::EpochChanged { found });
        }
        let deadline = Deadline::within(TOPIC_CHECK_TIMEOUT);
        let created = ensure_events(
            &options.brokers,
            options.partitions,
            &options.names,
            deadline,
        );
        created
            .await
            .inspect_err(|_| kafka.down("the events topic cannot be reached"))?;
        let topic = options.names.events();
        let opened = Publisher::open(&options.brokers, &topic, batch_bytes).await;
        let (publisher, reports, partitions) =
            opened.inspect_err(|_| kafka.down("brokers do not answer"))?;
        if partitions == 0 {
            return Err(SessionError::TopicChanged);
        }
        metrics::producer_started();
        metrics::partitions(partitions);
        let now = clock::instant();
        Ok(Self {
            options,
            shared,
            kafka: KafkaWatch::new(kafka),
            source,
            publisher,
            reports,
            batch_bytes,
            partitions,
            owned: Vec::new(),
            progress: Progress::default(),
            last_read: now,
            next_read: now,
            next_maintenance: now,
        })
    }

    /// Publishes until the token is cancelled and everything committed until then is published, or
    /// until a failure.
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<(), SessionError> {
        let ended = self.publish(stop).await;
        let remembered = self.remember().await;
        ended?;
        Ok(remembered?)
    }

    /// Releases everything. What is in flight may still arrive, and be published again.
    pub async fn close(self) {
        self.shared.own_lanes(0);
        metrics::owned(0);
        metrics::lag(0);
        drop(self.source);
        self.publisher.close().await;
    }

    async fn publish(&mut self, stop: &CancellationToken) -> Result<(), SessionError> {
        let mut drain: Option<Deadline> = None;
        loop {
            self.handle_reports()?;
            let now = clock::instant();
            if now >= self.next_maintenance {
                self.maintain().await?;
            }
            let mut idle = false;
            if self.has_room() && now >= self.next_read {
                idle = self.send_next().await? == 0;
            }
            match drain {
                None if stop.is_cancelled() => drain = Some(Deadline::within(RELAY_DRAIN_TIMEOUT)),
                Some(_) if idle && self.progress.in_flight() == 0 => return Ok(()),
                Some(deadline) if deadline.has_passed() => return Ok(()),
                _ => {}
            }
            self.wait(stop, drain.is_some()).await?;
        }
    }

    fn has_room(&self) -> bool {
        self.progress.in_flight() < MAX_EVENTS_IN_FLIGHT && !self.owned.is_empty()
    }

    async fn wait(&mut self, stop: &CancellationToken, stopping: bool) -> Result<(), SessionError> {
        let has_room = self.has_room();
        tokio::select! {
            report = self.reports.recv() => {
                if let Some(report) = report {
                    self.handle(report)?;
                }
            }
            () = self.shared.wake.notified(), if has_room => {
                self.next_read = self.next_read.min(self.last_read + MIN_READ_INTERVAL);
            }
            answer = self.kafka.answer() => {
                if answer.is_ok_and(|partitions| partitions != self.partitions) {
                    return Err(SessionError::TopicChanged);
                }
            }
            () = sleep_until(self.next_read), if has_room => {}
            () = sleep_until(self.next_maintenance) => {}
            () = stop.cancelled(), if !stopping => {}
        }
        Ok(())
    }

    /// Reads the next events and hands them to the producer. Returns their number.
    async fn send_next(&mut self) -> Result<usize, SessionError> {
        self.last_read = clock::instant();
        let rows = self.source.read(self.progress.sent()).await?;
        self.next_read = self.last_read
            + if rows.is_empty() {
                POLL_INTERVAL
            } else {
                MIN_READ_INTERVAL
            };
        let count = rows.len();
        for row in rows {
            let position = row.position;
            self.progress.see_head(position);
            // Before it is handed over: no event is published behind a gap.
            self.progress.expect(position)?;
            let sent = self
                .publisher
                .send(row, position.lane.partition(self.partitions));
            if sent == Sent::Full {
                self.next_read = self.last_read + POLL_INTERVAL;
                break;
            }
            self.progress.send(position)?;
            if let Sent::Not(report) = sent {
                self.handle(report)?;
            }
        }
        Ok(count)
    }

    fn handle_reports(&mut self) -> Result<(), SessionError> {
        while let Ok(report) = self.reports.try_recv() {
            self.handle(report)?;
        }
        Ok(())
    }

    fn handle(&mut self, report: Report) -> Result<(), SessionError> {
        match report {
            Report::Delivered(position) => {
                self.progress.settle(position);
                self.kafka.note_answer();
                metrics::published();
                crash_point::reach("relay-after-publish");
            }
            Report::TooLarge { bytes, .. } if bytes <= self.batch_bytes => {
                return Err(SessionError::BatchTooLarge);
            }
            Report::TooLarge { position, .. } => {
                self.refuse(position, RDKafkaErrorCode::MessageSizeTooLarge);
            }
            Report::Refused { position, code } => self.refuse(position, code),
            Report::Failed(code) => return Err(SessionError::Interrupted(code)),
            Report::BrokersDown => self.kafka.brokers_are_down(),
        }
        Ok(())
    }

    /// Leaves an event to the readers, which notice the gap.
    fn refuse(&mut self, position: Position, code: RDKafkaErrorCode) {
        tracing::warn!(
            event.lane = position.lane.number(),
            event.seq = position.seq,
            kafka.code = %code,
            "kafka refused an event"
        );
        metrics::refused();
        self.progress.settle(position);
    }

    /// What is due every second.
    async fn maintain(&mut self) -> Result<(), SessionError> {
        self.next_maintenance = clock::instant() + MAINTENANCE_INTERVAL;
        self.remember().await?;
        self.own_more().await?;
        let lanes: Vec<Lane> = self.progress.sent().map(|position| position.lane).collect();
        for head in self.source.heads(&lanes).await? {
            self.progress.see_head(head);
        }
        metrics::lag(self.progress.lag());
        self.kafka.ask_when_due(&self.publisher);
        Ok(())
    }

    async fn remember(&mut self) -> Result<(), SourceError> {
        let moved = self.progress.unremembered();
        if !moved.is_empty() {
            self.source.remember(&moved).await?;
            self.progress.remember(&moved);
        }
        Ok(())
    }

    /// Takes the partitions that no process owns.
    async fn own_more(&mut self) -> Result<(), SessionError> {
        let wanted: Vec<i32> = (0..self.partitions)
            .filter(|partition| !self.owned.contains(partition))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let gained = self.source.own(&wanted).await?;
        if gained.is_empty() {
            return Ok(());
        }
        let is_gained = |lane: &Lane| gained.contains(&lane.partition(self.partitions));
        let lanes: Vec<Lane> = Lane::all().filter(is_gained).collect();
        for position in self.source.remembered(&lanes).await? {
            self.progress.own(position);
        }
        tracing::info!(
            kafka.topic = self.options.names.events(),
            kafka.partitions = ?gained,
            "publishing these partitions"
        );
        self.owned.extend(gained);
        self.shared.own_lanes(
            self.progress
                .sent()
                .fold(0, |mask, p| mask | 1 << p.lane.number()),
        );
        metrics::owned(self.owned.len());
        Ok(())
    }
}
