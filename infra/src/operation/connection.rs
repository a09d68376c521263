//! How a tool reaches a running Tidemark: through its servers, as any other process does.

use std::time::Duration;

use anyhow::{Context, Result};
use chassis::clock::Deadline;
use chassis::health::Health;
use chassis::kafka::{KafkaBrokers, producer_config};
use chassis::postgres::{OwnedConnection, Session, Target, connect_alone};
use chassis::shutdown::Shutdown;
use chassis::watermark_tail::WatermarkTail;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::id::Epoch;
use schemas::topic::Names;
use schemas::watermark::{BuildState, Key, WatermarkState};
use serde::Serialize;
use testbed::namespace::Surroundings;

use crate::access;
use tokio::runtime::Handle;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const HEARD_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The history that is running, and its watermark topic.
#[derive(Debug)]
pub struct Connection {
    pub names: Names,
    pub tail: WatermarkTail,
    brokers: KafkaBrokers,
    shutdown: Shutdown,
}

impl Connection {
    /// Finds out the epoch and reads the watermark topic to its end.
    pub async fn open(surroundings: &Surroundings) -> Result<Self> {
        let epoch = epoch(surroundings).await?;
        let names = Names::new(&surroundings.prefix, epoch);
        let brokers = access::brokers(&surroundings.endpoints)?;
        let shutdown = Shutdown::default();
        let probe = Health::default().dependency("kafka");
        let tail = WatermarkTail::spawn(&brokers, &names, &shutdown, probe)?;
        tail.complete(Deadline::within(ANSWERS_WITHIN)).await?;
        Ok(Self {
            names,
            tail,
            brokers,
            shutdown,
        })
    }

    /// Waits until every build that is fed was heard of, or for as long as two heartbeats take:
    /// what was read at the start may be old, and tells nothing of the present.
    pub async fn heard(&self) {
        let deadline = Deadline::within(HEARD_WITHIN);
        while !deadline.has_passed() && !self.tail.read(|state| is_heard(state, self.tail.now())) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Publishes a record under this key.
    pub async fn publish(&self, key: &Key, value: &impl Serialize) -> Result<()> {
        let producer: FutureProducer = producer_config(&self.brokers).create()?;
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
        self.shutdown.start();
    }
}

fn is_heard(state: &WatermarkState, now: Duration) -> bool {
    let lanes_are_heard = |build: &BuildState| {
        let mut lanes = build.lanes.values();
        !build.lanes.is_empty() && lanes.all(|lane| lane.is_heard(now))
    };
    let builds = state.views().flat_map(|(_, view)| view.builds.values());
    let mut fed = builds.filter(|build| build.is_fed());
    fed.all(lanes_are_heard)
}

/// A connection to the database, as its owner.
pub async fn database(surroundings: &Surroundings) -> Result<OwnedConnection> {
    open(surroundings.endpoints.database_url(&surroundings.database)).await
}

/// A connection to any database, encrypted and verified where its URL says so.
pub(super) async fn open(url: String) -> Result<OwnedConnection> {
    let target = Target::new(&url.into(), "tidemark", Session::Unlimited)?;
    let runtime = Handle::current();
    let connect = connect_alone(&target, &runtime);
    tokio::time::timeout(ANSWERS_WITHIN, connect)
        .await
        .context("PostgreSQL does not answer")?
        .context("connecting to PostgreSQL")
}

async fn epoch(surroundings: &Surroundings) -> Result<Epoch> {
    let row = database(surroundings)
        .await?
        .client
        .query_one("select epoch from epoch", &[])
        .await
        .context("this database holds no Tidemark yet: start command-svc once")?;
    Ok(Epoch(u32::try_from(row.get::<_, i64>(0))?))
}
