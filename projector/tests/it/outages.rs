//! Servers that go away and come back: nothing is skipped, and everything is caught up with.

use std::time::Duration;

use chassis::clock;
use schemas::event::Envelope;
use schemas::id::ProductId;
use schemas::lane::{LANES, Lane};
use schemas::view::{Document, View};
use serde_json::json;
use testbed::stack::{Server, Stack, StackOptions};

use crate::world::{Process, World, moved_price, product};

/// How long Elasticsearch stays away.
const AWAY: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_may_go_away_one_after_the_other() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let world = World::open_on(stack.endpoints(), 1).await;
    let projectors = [world.projector().await, world.projector().await];
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;
    without_elasticsearch(&stack, &world, id).await;
    without_kafka(&stack, &world, &projectors, id).await;
    without_postgres(&stack, &world, id).await;
    stack.stop().await.unwrap();
}

async fn without_elasticsearch(stack: &Stack, world: &World, id: ProductId) {
    stack.stop_server(Server::Elasticsearch).await.unwrap();
    let committed = world.commit(&[moved_price(id, 1)]).await;
    let stopped = clock::now();
    // Heartbeats go on, with true heads.
    world
        .until("heads are told", || {
            said(world, committed[0].lane).is_some_and(|(head, at)| {
                head == committed[0].seq && (at - stopped).to_std().is_ok_and(|age| age > AWAY)
            })
        })
        .await;
    stack.start_server(Server::Elasticsearch).await.unwrap();
    caught_up(world, &committed, 1, id).await;
}

/// Of one partition, the second projector is the standby.
async fn without_kafka(stack: &Stack, world: &World, projectors: &[Process; 2], id: ProductId) {
    stack.stop_server(Server::Kafka).await.unwrap();
    world
        .eventually("all lanes are given up", async || {
            owned_lanes(projectors).await == [0, 0]
        })
        .await;
    let committed = world.append(&[moved_price(id, 2)]).await;
    stack.start_server(Server::Kafka).await.unwrap();
    world.publish(&committed).await;
    caught_up(world, &committed, 2, id).await;
    // Whoever takes a lane needs the table once, so it may go only after that.
    world
        .eventually("all lanes are taken again", async || {
            owned_lanes(projectors).await.contains(&usize::from(LANES))
        })
        .await;
    world
        .eventually("owner and standby miss nothing", async || {
            misses_nothing(&projectors[0]).await && misses_nothing(&projectors[1]).await
        })
        .await;
}

async fn owned_lanes(projectors: &[Process; 2]) -> [usize; 2] {
    let [first, second] = projectors;
    [first.owned_lanes().await, second.owned_lanes().await]
}

async fn misses_nothing(projector: &Process) -> bool {
    let told = projector.get("/readyz").await;
    told["status"] == "ready" && told["away"] == json!({})
}

/// The live path goes on without the table.
async fn without_postgres(stack: &Stack, world: &World, id: ProductId) {
    let committed = world.append(&[moved_price(id, 3)]).await;
    stack.stop_server(Server::Postgres).await.unwrap();
    world.publish(&committed).await;
    caught_up(world, &committed, 3, id).await;
    stack.start_server(Server::Postgres).await.unwrap();
}

async fn caught_up(world: &World, committed: &[Envelope], amount: i64, id: ProductId) {
    world.visible(View::Products, committed).await;
    let Some(Document::Products(product)) = world.found(View::Products, id).await else {
        panic!("no product");
    };
    assert_eq!(product.price.amount, amount);
}

/// What the topic says of a lane of products: its head, and when that was said.
fn said(world: &World, lane: Lane) -> Option<(u64, chrono::DateTime<chrono::Utc>)> {
    world.tail.read(|state| {
        let build = state.view(View::Products.name())?.active_build()?;
        let lane = build.lanes.get(&lane)?;
        Some((lane.head?, lane.at))
    })
}
