//! What a retired build leaves behind is taken away: its watermark keys, its checkpoints, its index.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::shop::{create_product, rare_word};
use e2e::world::{Plan, READY_WITHIN, World};
use infra::operation::connection::Connection;
use infra::operation::replay::replay;
use infra::service::Service;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use reqwest::{Method, StatusCode};
use schemas::view::View;
use serde_json::{Value, json};

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const CHECKPOINTED_WITHIN: Duration = Duration::from_secs(15);
const REMOVED_WITHIN: Duration = Duration::from_secs(30);
const VIEW: View = View::Products;

struct Leftovers<'a> {
    world: &'a World,
    connection: &'a Connection,
    http: reqwest::Client,
    build: u32,
}

impl Leftovers<'_> {
    async fn ask(&self, method: Method, path: &str) -> Result<reqwest::Response> {
        let url = &self.world.surroundings().endpoints.elasticsearch;
        let request = self.http.request(method, format!("{url}/{path}"));
        Ok(request.send().await?)
    }

    async fn has_index(&self) -> Result<bool> {
        let index = self.connection.names.index(VIEW.name(), self.build);
        let status = self.ask(Method::HEAD, &index).await?.status();
        ensure!(
            status == StatusCode::OK || status == StatusCode::NOT_FOUND,
            "{status}"
        );
        Ok(status == StatusCode::OK)
    }

    async fn checkpoints(&self) -> Result<u64> {
        let index = self.connection.names.checkpoints();
        let refreshed = self.ask(Method::POST, &format!("{index}/_refresh")).await?;
        refreshed.error_for_status()?;
        let (view, build) = (VIEW.name(), self.build);
        let path = format!("{index}/_count?q=view:{view}%20AND%20build:{build}");
        let found: Value = self.ask(Method::GET, &path).await?.json().await?;
        found["count"].as_u64().context("a count")
    }

    /// Whether Elasticsearch refuses to write and to delete checkpoints.
    async fn block_checkpoints(&self, is_blocked: bool) -> Result<()> {
        let url = &self.world.surroundings().endpoints.elasticsearch;
        let index = self.connection.names.checkpoints();
        let settings = json!({"index.blocks.write": is_blocked});
        let request = self.http.put(format!("{url}/{index}/_settings"));
        request.json(&settings).send().await?.error_for_status()?;
        Ok(())
    }

    /// Watermark keys of the build: the newest record under each, before compaction.
    async fn keys(&self) -> Result<Keys> {
        let topic = self.connection.names.watermarks();
        let key = format!("watermark/{}/{}/", VIEW.name(), self.build);
        let kafka = self.world.surroundings().endpoints.kafka.clone();
        tokio::task::spawn_blocking(move || keys(&kafka, &topic, &key)).await?
    }
}

#[derive(Debug, Default)]
struct Keys {
    /// Those that have a record.
    left: BTreeSet<String>,
    /// How often each was taken away.
    removals: BTreeMap<String, usize>,
}

/// Reads the topic from its beginning to its end.
fn keys(kafka: &str, topic: &str, beginning: &str) -> Result<Keys> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", topic)
        .create()?;
    let (_, end) = consumer.fetch_watermarks(topic, 0, ANSWERS_WITHIN)?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    let mut keys = Keys::default();
    loop {
        let record = consumer
            .poll(ANSWERS_WITHIN)
            .context("no record in time")??;
        let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
        if key.starts_with(beginning) && record.payload().is_some() {
            keys.left.insert(key);
        } else if key.starts_with(beginning) {
            keys.left.remove(&key);
            *keys.removals.entry(key).or_default() += 1;
        }
        if record.offset() + 1 >= end {
            return Ok(keys);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_build_that_readers_have_left_nothing_stays_even_where_a_removal_failed() -> Result<()>
{
    let mut world = World::open(Plan::default()).await?;
    world.kill_all(Service::Projector).await?;
    let soon = [("TIDEMARK_REMOVE_AFTER_SECONDS", "1")];
    world.start_with(Service::Projector, &soon).await?;
    world.ready().await?;
    let staff = world.staff()?.preferring("wait=5");
    let word = rare_word();
    for number in 0..20 {
        create_product(&staff, &format!("Cup {word} {number}"), &[]).await?;
    }
    let cups = format!("/v1/products?q={word}&limit=1");
    // The partitions of the killed one are free once Kafka has given it up.
    let found = staff.get_within(&cups, READY_WITHIN).await?.expect(200)?;
    ensure!(found.body["total"]["value"] == 20, "{found:?}");

    let connection = Connection::open(world.surroundings()).await?;
    let left = Leftovers {
        world: &world,
        connection: &connection,
        http: reqwest::Client::builder().no_proxy().build()?,
        build: 1,
    };
    checkpointed(&left).await?;
    ensure!(left.has_index().await? && !left.keys().await?.left.is_empty());
    left.block_checkpoints(true).await?;
    replay(&connection, VIEW, |_| {}).await?;
    removed_in_vain(&left).await?;
    left.block_checkpoints(false).await?;
    removed(&left).await?;
    // The index goes last: a removal that is interrupted leaves it as a trace.
    ensure!(left.checkpoints().await? == 0, "checkpoints are left");
    ensure!(
        left.keys().await?.left.is_empty(),
        "watermark keys are left"
    );
    let found = staff.get(&cups).await?.expect(200)?;
    ensure!(found.body["total"]["value"] == 20, "{found:?}");
    world.ensure_agreement().await?;
    world.close().await
}

async fn checkpointed(build: &Leftovers<'_>) -> Result<()> {
    let deadline = Instant::now() + CHECKPOINTED_WITHIN;
    while build.checkpoints().await? == 0 {
        ensure!(Instant::now() < deadline, "there are no checkpoints");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn removed(left: &Leftovers<'_>) -> Result<()> {
    let deadline = Instant::now() + REMOVED_WITHIN;
    while left.has_index().await? {
        ensure!(Instant::now() < deadline, "the index is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until a removal has failed: it begins again with the keys, and the index is still there.
async fn removed_in_vain(left: &Leftovers<'_>) -> Result<()> {
    let deadline = Instant::now() + REMOVED_WITHIN;
    while left.keys().await?.removals.into_values().max() < Some(2) {
        ensure!(Instant::now() < deadline, "the removal is not tried again");
        ensure!(
            left.has_index().await?,
            "the index went before the checkpoints"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(left.has_index().await? && left.checkpoints().await? > 0);
    Ok(())
}
