//! Starting: the schema, the epoch, Kafka's topics, the relay; then watching over PostgreSQL.
//!
//! Commands are accepted as soon as the epoch is known: they need PostgreSQL alone. A server that
//! cannot be reached is waited for without a limit.

use std::time::Duration;

use chassis::health::{Health, Probe};
use chassis::kafka::KafkaBrokers;
use chassis::postgres::{OwnedConnection, Session, SetupError, Target, connect_alone};
use chassis::retry::Backoff;
use chassis::shutdown::Shutdown;
use chassis::telemetry::Chain;
use chassis::tidemark::{EpochChanged, EpochHandle};
use schemas::id::Epoch;
use schemas::topic::Names;
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::config::{CommandArgs, START_ATTEMPT_TIMEOUT};
use crate::relay::{Relay, RelayHandle, RelayOptions};
use crate::store::Database;
use crate::store::migration::{self, MigrationError};
use crate::store::statement::EVENT_EPOCH;
use crate::topics::{self, TopicError, Watch};

/// What starting needs to know.
#[derive(Debug, Clone)]
pub struct Start {
    pub args: CommandArgs,
    pub brokers: KafkaBrokers,
    pub database: Database,
    pub epoch: EpochHandle,
    pub health: Health,
    /// Ends the relay: after the last request was answered, so that what it did is published.
    pub relay_stop: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("use the database")]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("the epoch of the database is not a number of 32 bits")]
    Epoch(#[from] std::num::TryFromIntError),
    #[error(transparent)]
    EpochChanged(#[from] EpochChanged),
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error("start within the time for one attempt")]
    TooSlow,
}

impl StartError {
    /// True where trying again cannot help.
    fn is_final(&self) -> bool {
        match self {
            Self::Setup(_) | Self::EpochChanged(_) | Self::Epoch(_) => true,
            Self::Migration(error) => error.is_final(),
            Self::Database(_) | Self::Topics(_) | Self::TooSlow => false,
        }
    }
}

impl Start {
    /// Ends once everything runs, when it is stopped, or on an error that trying again cannot help.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), StartError> {
        let (epoch, kafka) = (
            self.health.requirement("epoch"),
            self.health.dependency("kafka"),
        );
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
        let token = shutdown.token();
        loop {
            let attempt = tokio::time::timeout(START_ATTEMPT_TIMEOUT, self.prepare(&epoch));
            let Some(prepared) = token.run_until_cancelled(attempt).await else {
                return Ok(());
            };
            let error = match prepared.unwrap_or(Err(StartError::TooSlow)) {
                Ok(names) => {
                    self.watch_topics(names.clone(), &shutdown);
                    let relay = self.spawn_relay(names, &shutdown, kafka);
                    self.database
                        .on_commit(Box::new(move |positions| relay.committed(positions)));
                    return Ok(());
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => error,
            };
            tracing::warn!(error = %Chain(&error), "failed to start, trying again");
            if let StartError::Topics(_) = error {
                kafka.down("topics could not be created");
            }
            if token.run_until_cancelled(backoff.pause()).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn prepare(&self, known: &Probe) -> Result<Names, StartError> {
        let epoch = self.migrate().await?;
        self.epoch.set(epoch)?;
        known.up();
        let names = Names::new(self.args.namespace.prefix.clone(), epoch);
        // Not under the lock: it may be repeated, and without Kafka others shall start all the
        // same.
        self.make_topics(&names).await?;
        tracing::info!(epoch = %epoch, "started");
        Ok(names)
    }

    /// A watermark topic that was made before and is missing is lost; `topics::Watch` sees to that.
    async fn make_topics(&self, names: &Names) -> Result<(), StartError> {
        let connection = self.connect().await?;
        if !topics::was_made(&connection.client, names).await? {
            topics::ensure(&self.brokers, self.args.kafka.partitions, names).await?;
            topics::remember(&connection.client, names).await?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<OwnedConnection, StartError> {
        let url = self.args.direct_database_url();
        let target = Target::new(url, "command-svc-start", Session::Unlimited)?;
        Ok(connect_alone(&target, &Handle::current()).await?)
    }

    /// One process at a time; the lock goes with the connection.
    async fn migrate(&self) -> Result<Epoch, StartError> {
        let mut connection = self.connect().await?;
        migration::lock(&connection.client).await?;
        migration::run(&mut connection.client).await?;
        read_epoch(&connection.client).await
    }

    fn watch_topics(&self, names: Names, shutdown: &Shutdown) {
        let watch = Watch {
            brokers: self.brokers.clone(),
            partitions: self.args.kafka.partitions,
            names,
            database_url: self.args.direct_database_url().clone(),
            database: self.database.clone(),
        };
        shutdown.spawn("watch-topics", watch.run(shutdown.token()));
    }

    fn spawn_relay(&self, names: Names, shutdown: &Shutdown, kafka: Probe) -> RelayHandle {
        let options = self.relay_options(names);
        Relay::spawn(options, shutdown, self.relay_stop.clone(), kafka)
    }

    fn relay_options(&self, names: Names) -> RelayOptions {
        RelayOptions {
            database_url: self.args.direct_database_url().clone(),
            brokers: self.brokers.clone(),
            partitions: self.args.kafka.partitions,
            names,
        }
    }
}

async fn read_epoch(client: &Client) -> Result<Epoch, StartError> {
    let row = client.query_one(EVENT_EPOCH.text, &[]).await?;
    Ok(Epoch(u32::try_from(row.try_get::<_, i64>(0)?)?))
}
