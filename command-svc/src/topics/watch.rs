//! Watches both topics while the process runs.
//!
//! Both may be deleted without harm. The topic of events is created again: what it held is in the
//! event table. The watermark topic holds what readers were shown; without it no tidemark can be
//! compared any more: a new history begins, and every process of the old one ends.

use chassis::clock::{self, Deadline};
use chassis::kafka::{KafkaBrokers, topic_exists};
use chassis::postgres::{Session, SetupError, Target, connect_alone};
use chassis::telemetry::Chain;
use schemas::topic::Names;
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sightings::{Sight, Sightings};
use super::{TopicError, ensure_events};
use crate::config::{
    EPOCH_CHANGE_TIMEOUT, MISSING_TOPIC_INTERVAL, TOPIC_LOOK_TIMEOUT, TOPIC_MAKE_TIMEOUT,
    TOPIC_WATCH_INTERVAL,
};
use crate::store::Database;
use crate::store::migration::{self, MigrationError};
use crate::store::statement::{EVENT_BEGIN_EPOCH, TOPIC_REMEMBER, TOPIC_REMEMBERED};

/// Watches the topics of one history.
#[derive(Debug)]
pub struct Watch {
    pub brokers: KafkaBrokers,
    pub partitions: i32,
    pub names: Names,
    pub database_url: SecretString,
    pub database: Database,
}

#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("use the database")]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("begin another history in time")]
    TooSlow,
}

impl Watch {
    /// Runs until it is stopped, or until another history has begun.
    pub async fn run(self, stop: CancellationToken) {
        let mut sightings = Sightings::default();
        let began = clock::instant();
        loop {
            let Some(lost) = stop
                .run_until_cancelled(self.look(&mut sightings, began))
                .await
            else {
                return;
            };
            if lost && self.begin_another().await {
                self.database.end_of_history();
                return stop.cancelled().await;
            }
            let pause = if sightings.is_suspect() {
                MISSING_TOPIC_INTERVAL
            } else {
                TOPIC_WATCH_INTERVAL
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// True where the watermark topic is lost. The topic of events is made where it is missing.
    async fn look(&self, sightings: &mut Sightings, began: Instant) -> bool {
        let sight = self.sight_of(&self.names.watermarks()).await;
        if sight == Sight::Missing {
            tracing::warn!(
                kafka.topic = self.names.watermarks(),
                "the topic is missing"
            );
        }
        if self.sight_of(&self.names.events()).await == Sight::Missing
            && let Err(error) = self.make_events().await
        {
            tracing::warn!(error = %Chain(&error), "failed to create the topic of events");
        }
        sightings.see(sight, clock::instant() - began)
    }

    async fn sight_of(&self, topic: &str) -> Sight {
        match topic_exists(&self.brokers, topic, Deadline::within(TOPIC_LOOK_TIMEOUT)).await {
            Ok(true) => Sight::Present,
            Ok(false) => Sight::Missing,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "failed to look for the topics");
                Sight::Unknown
            }
        }
    }

    async fn make_events(&self) -> Result<(), TopicError> {
        let deadline = Deadline::within(TOPIC_MAKE_TIMEOUT);
        ensure_events(&self.brokers, self.partitions, &self.names, deadline).await
    }

    /// True where the database holds another history now, begun by this process or another one.
    async fn begin_another(&self) -> bool {
        let begun = tokio::time::timeout(EPOCH_CHANGE_TIMEOUT, self.begin()).await;
        match begun.unwrap_or(Err(BeginError::TooSlow)) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "failed to begin another history");
                false
            }
        }
    }

    /// Under the lock of migrations, so that no process starts into the history that ends.
    async fn begin(&self) -> Result<(), BeginError> {
        let target = Target::new(&self.database_url, "command-svc-topics", Session::Unlimited)?;
        let connection = connect_alone(&target, &Handle::current()).await?;
        migration::lock(&connection.client).await?;
        let lost = i64::from(self.names.epoch().0);
        let client = &connection.client;
        let begun = client.query_opt(EVENT_BEGIN_EPOCH.text, &[&lost]).await?;
        if begun.is_some() {
            let topic = self.names.watermarks();
            tracing::error!(
                kafka.topic = topic,
                "the topic is lost: another history begins"
            );
        }
        Ok(())
    }
}

/// Whether the watermark topic of this history was made once.
pub async fn was_made(
    client: &tokio_postgres::Client,
    names: &Names,
) -> Result<bool, tokio_postgres::Error> {
    let epoch = i64::from(names.epoch().0);
    let found = client.query_opt(TOPIC_REMEMBERED.text, &[&epoch]).await?;
    Ok(found.is_some())
}

/// Notes that it was made, so that from now on a missing one is a lost one.
pub async fn remember(
    client: &tokio_postgres::Client,
    names: &Names,
) -> Result<(), tokio_postgres::Error> {
    let epoch = i64::from(names.epoch().0);
    client.execute(TOPIC_REMEMBER.text, &[&epoch]).await?;
    Ok(())
}
