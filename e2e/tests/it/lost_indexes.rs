//! Indexes that are deleted, one or all: whatever can be rebuilt comes back by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chassis::clock;
use e2e::client::Client;
use e2e::shop::{create_product, rare_word};
use e2e::world::{Plan, World};
use infra::operation::connection::Connection;
use infra::operation::replay::replay;
use infra::service::Service;
use reqwest::{Method, StatusCode};
use schemas::id::Epoch;
use schemas::topic::Names;
use schemas::view::View;
use schemas::watermark::{BuildState, Key, ViewState, Wish, WishKind};
use serde_json::{Value, json};
use testbed::stack::Server;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

/// A rebuild of these few documents takes well under a second.
const BACK_WITHIN: Duration = Duration::from_secs(15);

struct Indexes<'a> {
    world: &'a World,
    names: Names,
    http: reqwest::Client,
}

impl<'a> Indexes<'a> {
    async fn of(world: &'a World) -> Result<Self> {
        let database = world.database().await?;
        let row = database.query_one("select epoch from epoch", &[]).await?;
        let epoch = Epoch(u32::try_from(row.get::<_, i64>(0))?);
        let names = Names::new(&world.surroundings().prefix, epoch);
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { world, names, http })
    }

    fn url(&self, path: &str) -> String {
        let url = &self.world.surroundings().endpoints.elasticsearch;
        format!("{url}/{path}")
    }

    /// Index names that match.
    async fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let url = self.url(&format!("{pattern}/_settings"));
        let answer = self.http.get(url).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let found: Value = answer.error_for_status()?.json().await?;
        let found = found.as_object().into_iter().flatten();
        Ok(found.map(|(name, _)| name.clone()).collect())
    }

    /// Deletes every index that matches; there must be one.
    async fn delete(&self, pattern: &str) -> Result<()> {
        let found = self.matching(pattern).await?;
        ensure!(!found.is_empty(), "there is no index {pattern}");
        for name in found {
            let deleted = self.http.request(Method::DELETE, self.url(&name));
            deleted.send().await?.error_for_status()?;
        }
        Ok(())
    }

    /// Whether an index of this name is to be made such that it takes no documents.
    async fn block_new(&self, name: &str, is_blocked: bool) -> Result<()> {
        let url = self.url(&format!("_index_template/{name}"));
        let template = json!({
            "index_patterns": [name],
            "template": {"settings": {"index.blocks.write": true}},
        });
        let request = if is_blocked {
            self.http.put(url).json(&template)
        } else {
            self.http.delete(url)
        };
        request.send().await?.error_for_status()?;
        Ok(())
    }

    fn of_view(&self, view: View) -> String {
        self.names.index_pattern(view.name())
    }
}

/// A product that a search has found, and the word of its name.
async fn findable_product(staff: &Client) -> Result<(Uuid, String)> {
    let word = rare_word();
    let id = create_product(staff, &format!("Kettle {word}"), &[]).await?;
    let found = staff.get(&format!("/v1/products?q={word}")).await?;
    ensure!(found.expect(200)?.ids() == [id]);
    Ok((id, word))
}

/// Everything that was written is found, and what is written now as well.
async fn is_back(world: &World, staff: &Client, known: &[(Uuid, String)]) -> Result<()> {
    let deadline = Instant::now() + BACK_WITHIN;
    let word = rare_word();
    let new = create_product(staff, &format!("Lamp {word}"), &[]).await?;
    let new = (new, word);
    for (id, word) in known.iter().chain([&new]) {
        let left = deadline.saturating_duration_since(Instant::now());
        let path = format!("/v1/products?q={word}");
        let found = staff.get_within(&path, left).await?.expect(200)?;
        ensure!(found.ids() == [*id], "{word} is not found: {found:?}");
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let tree = staff.get_within("/v1/categories", left).await?;
    tree.expect(200)?;
    world.ensure_agreement().await
}

#[tokio::test(flavor = "multi_thread")]
async fn views_whose_indexes_are_deleted_come_back_by_themselves() -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let mut known = Vec::new();
    for _ in 0..20 {
        let word = rare_word();
        let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
        known.push((id, word));
    }
    for (projector_down, patterns) in [
        (false, vec!["products"]),
        (true, vec!["products"]),
        (false, vec!["checkpoints"]),
        (true, vec!["products", "categories", "checkpoints"]),
        (
            false,
            vec!["products", "categories", "checkpoints", "dead-letters"],
        ),
    ] {
        if projector_down {
            world.kill_all(Service::Projector).await?;
        }
        let indexes = Indexes::of(&world).await?;
        for pattern in &patterns {
            let pattern = match *pattern {
                "products" => indexes.of_view(View::Products),
                "categories" => indexes.of_view(View::Categories),
                "checkpoints" => indexes.names.checkpoints(),
                _ => indexes.names.dead_letters(),
            };
            indexes.delete(&pattern).await?;
        }
        if projector_down {
            world.start(Service::Projector).await?;
        }
        is_back(&world, &staff, &known).await?;
    }
    let indexes = Indexes::of(&world).await?;
    let checkpoints = indexes.names.checkpoints();
    ensure!(!indexes.matching(&checkpoints).await?.is_empty());
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_whose_index_is_deleted_begins_again_and_ends() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let (id, word) = findable_product(&staff).await?;
    let search = format!("/v1/products?q={word}");

    let indexes = Indexes::of(&world).await?;
    let candidate = indexes.names.index(View::Products.name(), 2);
    indexes.block_new(&candidate, true).await?;
    let tool = Connection::open(world.surroundings()).await?;
    // Before it is announced, an index that is gone is made again under the same number.
    let is_announced = Notify::new();
    let losing = async {
        timeout(BACK_WITHIN, is_announced.notified()).await?;
        indexes.block_new(&candidate, false).await?;
        indexes.delete(&candidate).await?;
        Ok(Instant::now())
    };
    let replaying = replay(&tool, View::Products, |_| is_announced.notify_one());
    let (replayed, lost_at) = tokio::try_join!(replaying, losing)?;
    ensure!(lost_at.elapsed() < BACK_WITHIN, "{:?}", lost_at.elapsed());
    ensure!((replayed.from, replayed.to) == (Some(1), 3), "{replayed:?}");
    ensure!(staff.get(&search).await?.expect(200)?.ids() == [id]);
    drop(tool);
    world.ensure_agreement().await?;
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_index_is_deleted_while_a_replay_is_stuck_comes_back() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let (id, word) = findable_product(&staff).await?;

    let indexes = Indexes::of(&world).await?;
    let name = View::Products.name();
    let candidate = indexes.names.index(name, 2);
    indexes.block_new(&candidate, true).await?;
    let tool = Connection::open(world.surroundings()).await?;
    wish_replay(&tool, View::Products).await?;
    let is_announced = async || {
        let fed = |build: &BuildState| build.is_fed();
        let builds = |view: &ViewState| view.builds.get(&2).is_some_and(fed);
        tool.tail.read(|state| state.view(name).is_some_and(builds))
    };
    testbed::eventually("the replay is announced", BACK_WITHIN, is_announced).await;
    indexes.delete(&indexes.names.index(name, 1)).await?;
    is_back(&world, &staff, &[(id, word)]).await?;
    let active = tool.tail.read(|state| state.view(name)?.active);
    ensure!(active == Some(3), "{active:?}");
    indexes.block_new(&candidate, false).await?;
    drop(tool);
    world.close().await
}

async fn wish_replay(tool: &Connection, view: View) -> Result<()> {
    let key = Key::Wish {
        view: view.name().to_owned(),
        wish: clock::new_id(),
    };
    let wish = Wish {
        epoch: tool.names.epoch(),
        kind: WishKind::Replay,
        at: clock::now(),
    };
    tool.publish(&key, &wish).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elasticsearch_with_an_empty_data_folder_is_filled_again() -> Result<()> {
    let world = World::open(Plan {
        own_servers: true,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    let (id, word) = findable_product(&staff).await?;

    let servers = world.own_servers()?;
    servers.stop_server(Server::Elasticsearch).await?;
    std::fs::remove_dir_all(servers.data_of(Server::Elasticsearch))?;
    servers.start_server(Server::Elasticsearch).await?;
    is_back(&world, &staff, &[(id, word)]).await?;
    world.close().await
}
