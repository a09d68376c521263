//! Background tasks: read the epoch, then follow the watermark topic; check that Elasticsearch
//! answers and that the epoch stays the same.
//!
//! A process that reads another epoch than it started with ends: its names, its state and the
//! tidemarks that it signs belong to a history that is gone.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Deadline;
use chassis::elasticsearch::Elasticsearch;
use chassis::health::{Health, Probe};
use chassis::kafka::KafkaBrokers;
use chassis::postgres::is_standby;
use chassis::retry::Backoff;
use chassis::shutdown::Shutdown;
use chassis::telemetry::{Chain, Said};
use chassis::tidemark::{EpochChanged, EpochHandle};
use chassis::watermark_tail::{TailError, WatermarkTail};
use schemas::id::Epoch;
use schemas::topic::Names;
use tokio_util::sync::CancellationToken;

use crate::config::{EPOCH_INTERVAL, EPOCH_TIMEOUT, GAUGE_INTERVAL, PING_INTERVAL, PING_TIMEOUT};
use crate::freshness::{HeadsError, Ladder};
use crate::readiness;

#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub brokers: KafkaBrokers,
    pub prefix: String,
    pub elasticsearch: Elasticsearch,
    pub ladder: Arc<Ladder>,
    pub epoch: EpochHandle,
    pub health: Health,
    pub token: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(transparent)]
    Epoch(#[from] EpochChanged),
}

impl Start {
    pub(crate) fn spawn(self, shutdown: &Shutdown) {
        let postgres = self.health.dependency("postgres");
        let kafka = self.health.dependency("kafka");
        let elasticsearch = self.health.dependency("elasticsearch");
        shutdown.spawn("elasticsearch-ping", self.clone().ping(elasticsearch));
        shutdown.spawn("gauges", self.clone().update_gauges());
        let watermarks = self.health.requirement("watermarks");
        let follow = self.follow(shutdown.clone(), postgres, kafka, watermarks);
        shutdown.spawn_once("history", follow);
    }

    /// Follows one history until the end of the process, or fails.
    async fn follow(
        self,
        shutdown: Shutdown,
        postgres: Probe,
        kafka: Probe,
        watermarks: Probe,
    ) -> Result<(), StartError> {
        let token = self.token.clone();
        let Some(epoch) = token.run_until_cancelled(self.find_epoch(&postgres)).await else {
            return Ok(());
        };
        let names = Names::new(self.prefix.as_str(), epoch);
        let tail = WatermarkTail::spawn(&self.brokers, &names, &shutdown, kafka)?;
        self.ladder.follow(tail.clone());
        let ladder = Arc::clone(&self.ladder);
        tokio::spawn(readiness::watch(ladder, tail, watermarks, token.clone()));
        // Last: requests are accepted from here on.
        self.epoch.set(epoch)?;
        tracing::info!(tidemark.epoch = %epoch, "following the watermarks");
        match token.run_until_cancelled(self.watch_epoch(&postgres)).await {
            Some(changed) => Err(changed.into()),
            None => Ok(()),
        }
    }

    /// Retries forever: the process may start before its servers and its schema.
    async fn find_epoch(&self, postgres: &Probe) -> Epoch {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut said = Said::default();
        loop {
            match self.read_epoch(postgres).await {
                Ok(epoch) => return epoch,
                Err(error) if said.is_news(&error) => {
                    tracing::warn!(error = %Chain(&error), "failed to read the epoch; retrying");
                }
                Err(_) => {}
            }
            backoff.pause().await;
        }
    }

    /// Ends when the epoch has changed. While PostgreSQL is down, covered reads are still served.
    async fn watch_epoch(&self, postgres: &Probe) -> EpochChanged {
        let heads = self.ladder.heads();
        let mut ticks = tokio::time::interval(EPOCH_INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = heads.epoch_changed() => {}
            }
            let found = self.read_epoch(postgres).await;
            if let Ok(Err(changed)) = found.map(|found| self.epoch.set(found)) {
                return changed;
            }
        }
    }

    async fn read_epoch(&self, postgres: &Probe) -> Result<Epoch, HeadsError> {
        let heads = self.ladder.heads();
        let found = heads.read_epoch(Deadline::within(EPOCH_TIMEOUT)).await;
        match &found {
            Ok(_) => postgres.up(),
            Err(error) => postgres.down(reason(error)),
        }
        found
    }

    async fn update_gauges(self) {
        let mut ticks = tokio::time::interval(GAUGE_INTERVAL);
        while self.token.run_until_cancelled(ticks.tick()).await.is_some() {
            self.ladder.update_gauges();
        }
    }

    async fn ping(self, probe: Probe) {
        let mut ticks = tokio::time::interval(PING_INTERVAL);
        let elasticsearch = self.elasticsearch.with_timeout(PING_TIMEOUT);
        let mut said = Said::default();
        while self.token.run_until_cancelled(ticks.tick()).await.is_some() {
            match elasticsearch.ping().await {
                Ok(()) => {
                    said = Said::default();
                    probe.up();
                }
                Err(error) => {
                    if said.is_news(&error) {
                        tracing::warn!(error = %Chain(&error), "elasticsearch is unavailable");
                    }
                    probe.down(error.outline());
                }
            }
        }
    }
}

/// For `/readyz`: no addresses, no names of users.
fn reason(error: &HeadsError) -> &'static str {
    match error {
        HeadsError::Query(error) if error.code().is_some() => "the schema does not exist yet",
        HeadsError::Pool(error) if is_standby(error) => "a standby answers instead of the primary",
        _ => "postgres does not answer",
    }
}
