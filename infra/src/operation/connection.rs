//! How a tool reaches a running Tidemark: through its servers, as any other process does.

use std::time::Duration;

use anyhow::{Context, Result};
use chassis::clock::Deadline;
use chassis::health::Health;
use chassis::kafka::producer_config;
use chassis::watermark_tail::WatermarkTail;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::id::Epoch;
use schemas::topic::Names;
use schemas::watermark::Key;
use serde::Serialize;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::service::Surroundings;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The history that is running, and its watermark topic.
#[derive(Debug)]
pub struct Connection {
    pub names: Names,
    pub tail: WatermarkTail,
    bootstrap: String,
    shutdown: CancellationToken,
}

impl Connection {
    /// Finds out the epoch and reads the watermark topic to its end.
    pub async fn open(surroundings: &Surroundings) -> Result<Self> {
        let epoch = epoch(surroundings).await?;
        let names = Names::new(&surroundings.prefix, epoch);
        let bootstrap = surroundings.endpoints.kafka.clone();
        let shutdown = CancellationToken::new();
        let probe = Health::default().dependency("kafka");
        let tail = WatermarkTail::spawn(&bootstrap, &names, shutdown.clone(), probe)?;
        tail.complete(Deadline::within(ANSWERS_WITHIN)).await?;
        Ok(Self {
            names,
            tail,
            bootstrap,
            shutdown,
        })
    }

    /// Publishes a record under this key.
    pub async fn publish(&self, key: &Key, value: &impl Serialize) -> Result<()> {
        let producer: FutureProducer = producer_config(&self.bootstrap).create()?;
        let (topic, key) = (self.names.watermarks(), key.to_string());
        let value = serde_json::to_vec(value)?;
        let record = FutureRecord::to(&topic)
            .partition(0)
            .key(&key)
            .payload(&value);
        producer
            .send(record, ANSWERS_WITHIN)
            .await
            .map_err(|(error, _)| error)
            .context("kafka does not take the record")?;
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A connection to the database, as its owner.
pub async fn database(surroundings: &Surroundings) -> Result<Client> {
    let url = surroundings.endpoints.database_url(&surroundings.database);
    let connect = tokio_postgres::connect(&url, NoTls);
    let (client, connection) = tokio::time::timeout(ANSWERS_WITHIN, connect)
        .await
        .context("PostgreSQL does not answer")?
        .context("connecting to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

async fn epoch(surroundings: &Surroundings) -> Result<Epoch> {
    let row = database(surroundings)
        .await?
        .query_one("select epoch from epoch", &[])
        .await
        .context("this database holds no Tidemark yet: start command-svc once")?;
    Ok(Epoch(u32::try_from(row.get::<_, i64>(0))?))
}
