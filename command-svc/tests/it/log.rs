//! A log of its own for the relay to publish, and a reader of what it has published.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use chassis::clock::{self, Deadline};
use chassis::health::Health;
use chassis::kafka::{KafkaBrokers, tail_config};
use chassis::postgres::{PoolOptions, Session, pool};
use chassis::tidemark::EpochHandle;
use chrono::{DateTime, Utc};
use command_svc::relay::{Relay, RelayHandle, RelayOptions};
use command_svc::store::{Database, log, migration};
use rdkafka::Message;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::event::{Envelope, Event, Meta, PriceChanged, record};
use schemas::id::{Epoch, ProductId};
use schemas::lane::{Lane, LaneSeqs, Position, Seq};
use schemas::money::Money;
use schemas::topic::Names;
use secrecy::SecretString;
use testbed::namespace::Namespace;
use testbed::stack::{self, SharedStack};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PARTITIONS: i32 = 8;
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Log {
    pub db: Client,
    pub names: Names,
    pub namespace: Namespace,
    database: Database,
    _stack: SharedStack,
}

/// A record as it stands in Kafka.
#[derive(Debug)]
pub struct Record {
    pub partition: i32,
    pub key: String,
    pub envelope: Envelope,
}

impl Log {
    pub async fn create() -> Result<Self> {
        let stack = stack::shared().await?;
        let namespace = Namespace::create(stack.endpoints()).await?;
        let mut db = connect(&namespace).await?;
        migration::run(&mut db).await?;
        let epoch: i64 = db.query_one("select epoch from epoch", &[]).await?.get(0);
        let names = Names::new(namespace.prefix.clone(), Epoch(u32::try_from(epoch)?));
        let url = SecretString::from(namespace.database_url.clone());
        let options = PoolOptions {
            size: 2,
            application_name: "test",
            session: Session::Writer,
        };
        let pool = pool(&url, &options, &Handle::current())?;
        let database = Database::new(pool, EpochHandle::default());
        Ok(Self {
            db,
            names,
            namespace,
            database,
            _stack: stack,
        })
    }

    /// Another connection to the same database.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.namespace).await
    }

    pub fn kafka(&self) -> &str {
        &self.namespace.endpoints().kafka
    }

    pub fn relay(&self) -> (Relay, RelayHandle) {
        let options = RelayOptions {
            database_url: SecretString::from(self.namespace.database_url.clone()),
            brokers: KafkaBrokers::plain(self.kafka()),
            partitions: PARTITIONS,
            names: self.names.clone(),
        };
        Relay::new(options, Health::default().dependency("kafka"))
    }

    /// Runs a relay that nobody stops; aborting the task is its sudden death.
    pub fn run_relay(&self) -> JoinHandle<()> {
        tokio::spawn(self.relay().0.run(CancellationToken::new()))
    }

    /// Commits so many price changes, each of a product of its own.
    pub async fn append_prices(&self, count: usize) -> Result<Vec<Position>> {
        let events: Vec<Event> = (0..count).map(|_| price_changed(clock::new_id())).collect();
        self.append(&events).await
    }

    pub async fn append(&self, events: &[Event]) -> Result<Vec<Position>> {
        let mut batch = log::Batch::default();
        for event in events {
            batch.push(1, event);
        }
        let tx = self.database.borrow(Deadline::within(WITHIN)).await?;
        tx.begin().await?;
        let meta = Meta::default();
        let (epoch, deadline) = (self.names.epoch(), Deadline::within(WITHIN));
        let positions = log::append(&tx, epoch, &batch, &[&meta], None, deadline).await?;
        tx.commit().await?;
        Ok(positions)
    }

    pub async fn heads(&self) -> Result<LaneSeqs> {
        self.lane_seqs("select id, head from lane").await
    }

    pub async fn remembered(&self) -> Result<LaneSeqs> {
        self.lane_seqs("select lane, seq from relay").await
    }

    async fn lane_seqs(&self, sql: &str) -> Result<LaneSeqs> {
        let rows = self.db.query(sql, &[]).await?;
        rows.iter()
            .map(|row| {
                let lane = Lane::try_from(row.get::<_, i16>(0))?;
                Ok((lane, u64::try_from(row.get::<_, i64>(1))?))
            })
            .collect()
    }

    pub async fn wait_until_remembered(&self) -> Result<()> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let remembered = async {
            while self.remembered().await? != self.heads().await? {
                looks.tick().await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(WITHIN, remembered)
            .await
            .context("positions were not remembered")?
    }

    /// The topic from its beginning, until it holds what is asked for.
    pub async fn read_until(&self, enough: impl Fn(&[Record]) -> bool) -> Result<Vec<Record>> {
        let config = tail_config(&KafkaBrokers::plain(self.kafka()));
        let consumer: StreamConsumer = config.create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let topic = self.names.events();
            assignment.add_partition_offset(&topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let mut records = Vec::new();
        let reading = async {
            while !enough(&records) {
                // Ends of partitions, and a topic that is not there yet, are no messages.
                if let Ok(message) = consumer.recv().await {
                    records.push(read(&message)?);
                }
            }
            anyhow::Ok(())
        };
        let read = tokio::time::timeout(WITHIN, reading).await;
        read.with_context(|| format!("the topic holds {} records alone", records.len()))??;
        Ok(records)
    }

    /// Until every event up to the heads has come, at least once.
    pub async fn read_all(&self) -> Result<Vec<Record>> {
        let heads = self.heads().await?;
        self.read_until(|records| prefix(records) == heads).await
    }
}

async fn connect(namespace: &Namespace) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&namespace.database_url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn read(message: &BorrowedMessage<'_>) -> Result<Record> {
    let headers = message.headers().context("a record has headers")?;
    let header_of = |name: &'static str| headers.iter().find(|header| header.key == name)?.value;
    let payload = message.payload().context("a record has a payload")?;
    let key = message.key().context("a record has a key")?;
    Ok(Record {
        partition: message.partition(),
        key: String::from_utf8(key.to_vec())?,
        envelope: record::parse(header_of, payload)?,
    })
}

/// How far each lane has come without a gap, whatever came twice.
pub fn prefix(records: &[Record]) -> LaneSeqs {
    let mut seqs = LaneSeqs::default();
    for Record { envelope, .. } in records {
        if envelope.seq == seqs.get(envelope.lane) + 1 {
            seqs.raise(envelope.lane, envelope.seq);
        }
    }
    seqs
}

/// The seqs of each lane, in the order of the topic.
pub fn by_lane(records: &[Record]) -> BTreeMap<Lane, Vec<Seq>> {
    let mut lanes = BTreeMap::<Lane, Vec<Seq>>::new();
    for Record { envelope, .. } in records {
        lanes.entry(envelope.lane).or_default().push(envelope.seq);
    }
    lanes
}

pub fn price_changed(product: Uuid) -> Event {
    let price = Money::new(1999, "EUR").expect("a price");
    PriceChanged {
        product_id: ProductId(product),
        price,
        occurred_at: at(),
    }
    .into()
}

pub fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time")
}
