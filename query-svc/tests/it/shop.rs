//! A shop without a projector: the tests write documents, lane heads and watermark records, and
//! say when; replicas of query-svc read them.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chassis::clock::Deadline;
use chassis::elasticsearch::Elasticsearch;
use chassis::kafka::{self, KafkaBrokers};
use rdkafka::producer::FutureProducer;
use schemas::id::Epoch;
use schemas::lane::{LaneSeqs, Position, Seq};
use schemas::tidemark::{Keyring, Tidemark};
use schemas::topic::Names;
use schemas::view::{Document, View};
use serde_json::Value;
use serde_json::value::to_raw_value;
use testbed::namespace::Namespace;
use testbed::stack::SharedStack;
use tokio_postgres::NoTls;

mod client;
mod documents;
mod faults;
mod records;
mod replica;

pub use client::{Answer, Client};
pub use documents::{category, created_product, product};
pub use faults::Faults;
pub use replica::Replica;

pub const LIMIT: Duration = Duration::from_secs(20);

/// Everything that a query-svc reads from, in a corner of its own.
pub struct Shop {
    pub namespace: Namespace,
    pub names: Names,
    pub elasticsearch: Elasticsearch,
    pub postgres: tokio_postgres::Client,
    producer: FutureProducer,
    /// `G` of a replica that has read every record.
    end: AtomicU64,
    /// Heads of the lanes, as written to PostgreSQL.
    heads: Mutex<LaneSeqs>,
    _stack: SharedStack,
}

impl Shop {
    /// With an active build of each view, in which every lane is visible at 0.
    pub async fn open() -> Self {
        let shop = Self::closed().await;
        for view in View::ALL {
            shop.announce(view, 1).await;
            shop.publish(view, 1, &LaneSeqs::default()).await;
            shop.switch(view, None, 1).await;
        }
        shop
    }

    /// Without any build.
    pub async fn closed() -> Self {
        let stack = testbed::stack::shared().await.unwrap();
        let namespace = Namespace::create(stack.endpoints()).await.unwrap();
        let postgres = migrated(&namespace.database_url).await;
        let epoch = postgres.query_one("select epoch from epoch", &[]);
        let epoch: i64 = epoch.await.unwrap().get(0);
        let names = Names::new(
            namespace.prefix.as_str(),
            Epoch(u32::try_from(epoch).unwrap()),
        );
        let settings = [("cleanup.policy", "compact")];
        let brokers = &KafkaBrokers::plain(stack.endpoints().kafka.as_str());
        let deadline = Deadline::within(LIMIT);
        kafka::ensure_topic(brokers, &names.watermarks(), 1, &settings, deadline)
            .await
            .unwrap();
        Self {
            elasticsearch: Elasticsearch::new(&stack.endpoints().elasticsearch, LIMIT).unwrap(),
            producer: kafka::producer_config(brokers).create().unwrap(),
            postgres,
            names,
            namespace,
            end: AtomicU64::new(0),
            heads: Mutex::default(),
            _stack: stack,
        }
    }

    /// Another replica, ready to read.
    pub async fn replica(&self) -> Replica {
        self.replica_with(&[]).await
    }

    /// One that is told more than where its servers are.
    pub async fn replica_with(&self, options: &[&str]) -> Replica {
        Replica::start(self, options).await
    }

    /// One whose way to Elasticsearch has faults.
    pub async fn replica_behind(&self, faults: &Faults) -> Replica {
        let url = format!("--elasticsearch-url={}", faults.url);
        self.replica_with(&[&url]).await
    }

    /// Waits until a replica has followed all records so far, with this build of products active.
    pub async fn reached(&self, replica: &Replica, build: u32) {
        let end = self.end();
        self.until(replica, "the replica has followed", |state| {
            let views = state["views"].as_array().cloned().unwrap_or_default();
            let active = views
                .iter()
                .any(|view| view["view"] == "products" && view["build"] == build);
            active && state["replica_offset"].as_u64() >= Some(end)
        })
        .await;
    }

    /// Waits until what a replica says at `/v1/tidemark` is so.
    pub async fn until(&self, replica: &Replica, what: &str, holds: impl Fn(&Value) -> bool) {
        let deadline = Deadline::within(LIMIT);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            let state = replica.client().get("/v1/tidemark").await.body;
            if holds(&state) {
                return;
            }
            assert!(!deadline.has_passed(), "not in time: {what}: {state}");
            ticks.tick().await;
        }
    }

    /// Makes everything of these documents visible in build 1: events, documents, watermarks.
    /// Returns the position of each.
    pub async fn write(&self, documents: Vec<Document>) -> Vec<Position> {
        let positions = self.store(documents).await;
        for view in View::ALL {
            self.refresh(view, 1).await;
        }
        let heads = self.heads();
        for view in View::ALL {
            self.publish(view, 1, &heads).await;
        }
        positions
    }

    /// Gives each document the next seq of its lane, raises the heads, and writes the documents to
    /// build 1; nothing is visible to search, and no watermark says anything of it.
    pub async fn store(&self, documents: Vec<Document>) -> Vec<Position> {
        let placed: Vec<Document> = documents.into_iter().map(|one| self.place(one)).collect();
        self.write_heads().await;
        self.index(1, &placed).await;
        let position = |one: &Document| Position {
            lane: one.lane(),
            seq: one.seq(),
        };
        placed.iter().map(position).collect()
    }

    /// An event of the document's lane that is in the log and nowhere else yet.
    pub async fn commit(&self, document: Document) -> Document {
        let placed = self.place(document);
        self.write_heads().await;
        placed
    }

    /// Writes documents to a build of their views, as last written.
    pub async fn index(&self, build: u32, documents: &[Document]) {
        let mut ndjson = String::new();
        for document in documents {
            let index = self.names.index(document.view().name(), build);
            let (id, version) = (document.id(), document.seq());
            let action = serde_json::json!({"index": {
                "_index": index, "_id": id, "version": version, "version_type": "external"
            }});
            let source = serde_json::to_string(document).unwrap();
            ndjson += &format!("{action}\n{source}\n");
        }
        let items = self.elasticsearch.bulk(ndjson.into()).await.unwrap();
        let refused: Vec<_> = items.iter().filter(|item| !item.is_written()).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }

    /// What somebody does to a document in build 1, past the projector.
    pub async fn edit_by_hand(&self, document: &Document, name: &str) {
        let index = self.names.index(document.view().name(), 1);
        let action = serde_json::json!({"update": {"_index": index, "_id": document.id()}});
        let edit = serde_json::json!({"doc": {"name": name}});
        let ndjson = format!("{action}\n{edit}\n");
        let items = self.elasticsearch.bulk(ndjson.into()).await.unwrap();
        assert!(items[0].is_written(), "{items:?}");
    }

    /// One more than the offset of the last record.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::SeqCst)
    }

    pub fn heads(&self) -> LaneSeqs {
        self.heads.lock().unwrap().clone()
    }

    /// Signs whatever a test wants a client to have seen.
    pub fn token(&self, change: impl FnOnce(&mut Tidemark)) -> String {
        let keys: Keyring = chassis::config::DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
        let mut tidemark = Tidemark::new(self.names.epoch());
        change(&mut tidemark);
        keys.sign(&tidemark)
    }

    /// The token of a client that wrote at this position.
    pub fn written(&self, position: Position) -> String {
        self.token(|tidemark| tidemark.raise(position))
    }

    fn place(&self, document: Document) -> Document {
        let lane = document.lane();
        let mut heads = self.heads.lock().unwrap();
        let seq: Seq = heads.get(lane) + 1;
        heads.set(lane, seq);
        let mut placed = serde_json::to_value(&document).unwrap();
        placed["seq"] = seq.into();
        let placed = to_raw_value(&placed).unwrap();
        document.view().parse(&placed).unwrap()
    }

    async fn write_heads(&self) {
        let heads = self.heads();
        let (lanes, seqs): (Vec<i16>, Vec<i64>) = heads
            .iter()
            .map(|(lane, seq)| (i16::from(lane.number()), i64::try_from(seq).unwrap()))
            .unzip();
        let sql = "update lane set head = said.head \
                   from unnest($1::smallint[], $2::bigint[]) said (id, head) \
                   where lane.id = said.id";
        self.postgres.execute(sql, &[&lanes, &seqs]).await.unwrap();
    }
}

/// The database with the schema that command-svc gives it.
pub async fn migrated(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../command-svc/migrations");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let sql = std::fs::read_to_string(file).unwrap();
        client.batch_execute(&sql).await.unwrap();
    }
    client
}
