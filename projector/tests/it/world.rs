//! A world without command-svc: the tests append events to the table and publish them, or do not.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{Elasticsearch, SearchOptions};
use chassis::event_log;
use chassis::health::Health;
use chassis::kafka::{self, KafkaBrokers};
use chassis::shutdown::Shutdown;
use chassis::watermark_tail::WatermarkTail;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::event::{Envelope, Event, StreamId, record};
use schemas::id::Epoch;
use schemas::lane::{Lane, Position};
use schemas::topic::Names;
use schemas::view::{Document, View};
use serde_json::json;
use testbed::namespace::Namespace;
use testbed::stack::{Endpoints, SharedStack};
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use tokio_util::sync::DropGuard;
use uuid::Uuid;

mod builds;
mod events;
mod held_refreshes;
mod process;

pub use events::{category, detailed, moved_price, product, products_of_a_lane, renamed};
pub use held_refreshes::HeldRefreshes;
pub use process::Process;

pub const LIMIT: Duration = Duration::from_secs(60);
pub const PARTITIONS: i32 = 4;

/// Everything that a projector reads and writes, in a corner of its own.
pub struct World {
    pub namespace: Namespace,
    pub names: Names,
    pub elasticsearch: Elasticsearch,
    pub postgres: tokio_postgres::Client,
    pub tail: WatermarkTail,
    /// Of each projector that starts from now on.
    pub cache_mebibytes: usize,
    partitions: i32,
    producer: FutureProducer,
    versions: Mutex<HashMap<StreamId, u64>>,
    _ended: DropGuard,
    _stack: Option<SharedStack>,
}

impl World {
    /// On the servers that all tests share.
    pub async fn open() -> Self {
        let stack = testbed::stack::shared().await.unwrap();
        let world = Self::open_on(stack.endpoints(), PARTITIONS).await;
        Self {
            _stack: Some(stack),
            ..world
        }
    }

    /// On servers of one's own.
    pub async fn open_on(endpoints: &Endpoints, partitions: i32) -> Self {
        let namespace = Namespace::create(endpoints).await.unwrap();
        let postgres = migrated(&namespace.database_url).await;
        let epoch = postgres
            .query_one("select epoch from epoch", &[])
            .await
            .unwrap();
        let epoch = Epoch(u32::try_from(epoch.get::<_, i64>(0)).unwrap());
        let names = Names::new(namespace.prefix.as_str(), epoch);
        let brokers = &KafkaBrokers::plain(endpoints.kafka.as_str());
        let deadline = Deadline::within(LIMIT);
        let compact = [("cleanup.policy", "compact")];
        kafka::ensure_topic(brokers, &names.events(), partitions, &[], deadline)
            .await
            .unwrap();
        kafka::ensure_topic(brokers, &names.watermarks(), 1, &compact, deadline)
            .await
            .unwrap();
        let ended = Shutdown::default();
        let probe = Health::default().dependency("kafka");
        let tail = WatermarkTail::spawn(brokers, &names, &ended, probe).unwrap();
        tail.complete(deadline).await.unwrap();
        Self {
            elasticsearch: Elasticsearch::new(&endpoints.elasticsearch, LIMIT).unwrap(),
            producer: kafka::producer_config(brokers).create().unwrap(),
            versions: Mutex::default(),
            cache_mebibytes: 64,
            namespace,
            names,
            partitions,
            postgres,
            tail,
            _ended: ended.token().drop_guard(),
            _stack: None,
        }
    }

    /// A projector process of this world, ready.
    pub async fn projector(&self) -> Process {
        Process::start(self, self.namespace.endpoints()).await
    }

    /// One that is not ready yet, and talks to these servers.
    pub async fn starting_projector(&self, endpoints: &Endpoints) -> Process {
        Process::spawn(self, endpoints).await
    }

    /// The same, with something between it and Elasticsearch.
    pub async fn projector_behind(&self, refreshes: &HeldRefreshes) -> Process {
        let endpoints = Endpoints {
            elasticsearch: refreshes.url.clone(),
            ..self.namespace.endpoints().clone()
        };
        Process::start(self, &endpoints).await
    }

    /// Appends and publishes.
    pub async fn commit(&self, events: &[Event]) -> Vec<Envelope> {
        let envelopes = self.append(events).await;
        self.publish(&envelopes).await;
        envelopes
    }

    /// Appends to the event table alone; a broadcast in every lane.
    pub async fn append(&self, events: &[Event]) -> Vec<Envelope> {
        let rows = self.rows_of(events);
        let parameters = rows.parameters();
        let sql = include_str!("world/append.sql");
        let epoch = i64::from(self.names.epoch().0);
        let arrays: [&(dyn ToSql + Sync); 9] = [
            &epoch,
            &parameters.lanes,
            &parameters.event_ids,
            &parameters.subjects,
            &parameters.stream_ids,
            &parameters.stream_versions,
            &parameters.types,
            &parameters.versions,
            &parameters.data,
        ];
        let appended = self.postgres.query(sql, &arrays).await.unwrap();
        let lanes: Vec<i16> = appended.iter().map(|row| row.get("lane")).collect();
        let seqs: Vec<i64> = appended.iter().map(|row| row.get("seq")).collect();
        // A statement does not see the rows that a function in it inserts.
        let sql = include_str!("world/appended.sql");
        let rows = self.postgres.query(sql, &[&lanes, &seqs]).await.unwrap();
        assert!(rows.len() >= events.len(), "every event is appended");
        rows.iter()
            .map(|row| event_log::from_row(row).unwrap())
            .collect()
    }

    fn rows_of(&self, events: &[Event]) -> events::Rows {
        let mut versions = self.versions.lock().unwrap();
        let mut rows = events::Rows::default();
        for event in events {
            let version = versions.entry(event.stream_id()).or_default();
            *version += 1;
            rows.push(event, *version);
        }
        rows
    }

    /// Publishes to Kafka as the relay does.
    pub async fn publish(&self, envelopes: &[Envelope]) {
        let topic = self.names.events();
        let sending = envelopes.iter().map(async |envelope| {
            let mut headers = OwnedHeaders::new();
            for (key, value) in record::headers(envelope) {
                headers = headers.insert(Header {
                    key,
                    value: Some(&value),
                });
            }
            let (key, payload) = (record::key(envelope), record::payload(envelope));
            let record = FutureRecord::to(&topic)
                .partition(envelope.lane.partition(self.partitions))
                .key(&key)
                .payload(&payload)
                .headers(headers);
            self.producer.send(record, LIMIT).await.unwrap();
        });
        futures::future::join_all(sending).await;
    }

    /// Waits until the view shows these events, by its watermark.
    pub async fn visible(&self, view: View, envelopes: &[Envelope]) {
        let positions: Vec<Position> = envelopes.iter().map(Envelope::position).collect();
        self.until("the events are visible", || {
            self.tail.read(|state| {
                let of_view = state.view(view.name());
                of_view.is_some_and(|of_view| {
                    positions
                        .iter()
                        .all(|position| of_view.covers(position.lane, position.seq))
                })
            })
        })
        .await;
    }

    /// The watermark of a lane in the active build.
    pub fn watermark(&self, view: View, lane: Lane) -> u64 {
        self.tail.read(|state| {
            let active = state
                .view(view.name())
                .and_then(|of_view| of_view.active_build());
            active.map_or(0, |build| build.visible.get(lane))
        })
    }

    /// Waits for what the watermark topic tells.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let mut changes = self.tail.changes();
        let waiting = async {
            while !holds() {
                changes.changed().await.unwrap();
            }
        };
        Deadline::within(LIMIT)
            .run(waiting)
            .await
            .unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// Asks again until it holds, at most for the limit.
    pub async fn eventually(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        testbed::eventually(what, LIMIT, holds).await;
    }

    /// The index of the view's active build.
    pub fn index(&self, view: View) -> String {
        self.tail.read(|state| {
            let active = state
                .view(view.name())
                .and_then(|of_view| of_view.active_build());
            let announced = active.and_then(|build| build.announced.as_ref());
            announced
                .expect("the view has an active build")
                .index
                .clone()
        })
    }

    /// Waits until the latest dead letter names this event.
    pub async fn until_dead_letter(&self, projector: &Process, at_fault: &Envelope) {
        self.eventually("the dead letter names the event at fault", async || {
            let letters = projector.get("/v1/dead-letters").await;
            let letter = &letters["items"][0];
            letter["seq"] == at_fault.seq && letter["event_id"] == at_fault.event_id.to_string()
        })
        .await;
    }

    pub async fn index_uuid(&self, view: View) -> String {
        let found = self.elasticsearch.index_uuid(&self.index(view)).await;
        found.unwrap().unwrap()
    }

    /// What somebody does to Elasticsearch past the projector.
    pub async fn by_hand(&self, method: &str, path: &str, body: Option<&serde_json::Value>) {
        let url = format!("{}/{path}", self.namespace.endpoints().elasticsearch);
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Ends every connection of the projector to PostgreSQL, also in the middle of a statement.
    pub async fn disconnect_projector(&self) {
        let sql = include_str!("world/disconnect.sql");
        self.postgres.execute(sql, &[]).await.unwrap();
    }

    /// A document as a search shows it, in the version that it says.
    pub async fn found(&self, view: View, id: impl Into<Uuid>) -> Option<Document> {
        let (version, document) = self.shown(view, id).await?;
        assert_eq!(
            version,
            document.seq(),
            "version and seq of a document are the same"
        );
        Some(document)
    }

    /// A document as a search shows it, and its version.
    pub async fn shown(&self, view: View, id: impl Into<Uuid>) -> Option<(u64, Document)> {
        let id: Uuid = id.into();
        let query = json!({"query": {"ids": {"values": [id]}}, "version": true});
        let body = query.to_string().into();
        let options = SearchOptions::default();
        let answer = self
            .elasticsearch
            .search(Some(&self.index(view)), body, &options)
            .await;
        let hit = answer.unwrap().hits.hits.pop()?;
        Some((
            hit.version.unwrap(),
            view.parse(&hit.source.unwrap()).unwrap(),
        ))
    }
}

async fn migrated(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../command-svc/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    for file in files {
        client
            .batch_execute(&std::fs::read_to_string(file).unwrap())
            .await
            .unwrap();
    }
    client
}

/// The time of all events.
pub fn now() -> chrono::DateTime<chrono::Utc> {
    clock::now()
}
