//! Starting: the schema, the epoch, Kafka's topics, the relay; then watching over PostgreSQL.
//!
//! Commands are let in as soon as the epoch is known: they need PostgreSQL alone. Whatever is away
//! is waited for, for as long as it takes.

use std::time::Duration;

use chassis::health::Health;
use chassis::postgres::{Session, SetupError, client_config, connect_alone};
use chassis::retry::Backoff;
use chassis::shutdown::Shutdown;
use chassis::telemetry::Chain;
use chassis::tidemark::{EpochChanged, EpochHandle};
use schemas::id::Epoch;
use schemas::topic::Names;
use tokio::runtime::Handle;
use tokio_postgres::Client;

use crate::config::CommandArgs;
use crate::execute::Commands;
use crate::relay::{Relay, RelayOptions};
use crate::store::migration::{self, MigrationError};
use crate::store::statement::EVENT_EPOCH;
use crate::topics::{self, TopicError};

/// Waiting for another process that migrates, migrating, and making topics.
const ATTEMPT: Duration = Duration::from_secs(120);

/// What starting needs to know.
#[derive(Debug, Clone)]
pub struct Start {
    pub args: CommandArgs,
    pub commands: Commands,
    pub epoch: EpochHandle,
    pub health: Health,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("use the database")]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("the epoch of the database is no number of 32 bits")]
    Epoch(#[from] std::num::TryFromIntError),
    #[error(transparent)]
    EpochChanged(#[from] EpochChanged),
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error("start within the time for one attempt")]
    TooSlow,
}

impl StartError {
    /// No waiting mends these.
    fn is_final(&self) -> bool {
        match self {
            Self::Setup(_) | Self::EpochChanged(_) | Self::Epoch(_) => true,
            Self::Migration(error) => error.is_final(),
            Self::Database(_) | Self::Topics(_) | Self::TooSlow => false,
        }
    }
}

impl Start {
    /// Ends once everything runs, when told to stop, or on what no waiting mends.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), StartError> {
        let kafka = self.health.dependency("kafka");
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
        let token = shutdown.token();
        loop {
            let attempt = tokio::time::timeout(ATTEMPT, self.prepare());
            let Some(prepared) = token.run_until_cancelled(attempt).await else {
                return Ok(());
            };
            let error = match prepared.unwrap_or(Err(StartError::TooSlow)) {
                Ok(names) => {
                    let relay = Relay::spawn(self.relay_options(names), &shutdown, kafka);
                    self.commands
                        .on_commit(Box::new(move |positions| relay.committed(positions)));
                    return Ok(());
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => error,
            };
            tracing::warn!(error = %Chain(&error), "not started yet, trying again");
            if let StartError::Topics(_) = error {
                kafka.down("topics could not be made");
            }
            if token.run_until_cancelled(backoff.pause()).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn prepare(&self) -> Result<Names, StartError> {
        let epoch = self.migrate().await?;
        self.epoch.set(epoch)?;
        let names = Names::new(self.args.namespace.prefix.clone(), epoch);
        // Not under the lock: it may be repeated, and without Kafka others shall start all the same.
        topics::ensure(&self.args.kafka, &names).await?;
        tracing::info!(epoch = %epoch, "started");
        Ok(names)
    }

    /// One process at a time; the lock goes with the connection.
    async fn migrate(&self) -> Result<Epoch, StartError> {
        let url = &self.args.postgres.database_url;
        let config = client_config(url, "command-svc-start", Session::Unlimited)?;
        let mut connection = connect_alone(&config, &Handle::current()).await?;
        migration::lock(&connection.client).await?;
        migration::run(&mut connection.client).await?;
        read_epoch(&connection.client).await
    }

    fn relay_options(&self, names: Names) -> RelayOptions {
        RelayOptions {
            database_url: self.args.postgres.database_url.clone(),
            bootstrap: self.args.kafka.bootstrap.clone(),
            partitions: self.args.kafka.partitions,
            names,
        }
    }
}

async fn read_epoch(client: &Client) -> Result<Epoch, StartError> {
    let row = client.query_one(EVENT_EPOCH.text, &[]).await?;
    Ok(Epoch(u32::try_from(row.try_get::<_, i64>(0)?)?))
}
