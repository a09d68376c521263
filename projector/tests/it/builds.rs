//! Builds that cannot be used or do not get on: readers are served by another one, and the rest of
//! the view goes on.

use std::time::Duration;

use chassis::clock;
use schemas::event::Event;
use schemas::id::ProductId;
use schemas::view::{Document, View};
use serde_json::{Value, json};

use crate::world::{World, category, moved_price, product};

/// A rebuild of these few documents takes well under a second; a lost index is noticed within 5 s.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Far below the time for which a write is tried again.
const STEADY: Duration = Duration::from_secs(10);

async fn price(world: &World, id: ProductId) -> i64 {
    match world.found(View::Products, id).await {
        Some(Document::Products(product)) => product.price.amount,
        other => panic!("no product: {other:?}"),
    }
}

async fn count(world: &World, index: &str) -> u64 {
    let elasticsearch = &world.namespace.endpoints().elasticsearch;
    let url = format!("{elasticsearch}/{index}/_count");
    let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    answer["count"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_whose_index_was_made_by_another_version_is_passed_over() {
    let world = World::open().await;
    let taken = world.names.index(View::Products.name(), 1);
    let meta = json!({"view": "products", "version": 9_999, "mapping": "of a later release"});
    let body = json!({"mappings": {"_meta": meta, "dynamic": "strict"}});
    world.by_hand("PUT", &taken, Some(&body)).await;

    let _projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created, moved_price(id, 7)]).await;
    world.visible(View::Products, &committed).await;
    assert_eq!(world.active(View::Products), Some(2));
    assert_eq!(price(&world, id).await, 7);
    assert_eq!(count(&world, &taken).await, 0);
    assert_eq!(world.active(View::Categories), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_takes_no_writes_leaves_the_active_build_of_its_view_alone() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;

    world.block_writes_of(View::Products, 2, true).await;
    world.wish_replay(View::Products).await;
    let retries = "tidemark_sink_retries_total";
    let before = projector.metric(retries).await.unwrap_or(0.0);
    world
        .eventually("the candidate is tried again and again", async || {
            projector.metric(retries).await >= Some(before + 3.0)
        })
        .await;
    for amount in 1..=50 {
        let began = clock::instant();
        let committed = world.commit(&[moved_price(id, amount)]).await;
        world.visible(View::Products, &committed).await;
        world.visible(View::Categories, &committed).await;
        let took = began.elapsed();
        assert!(took < STEADY, "visible after {took:?}");
        assert_eq!(price(&world, id).await, amount);
    }
    assert_eq!(world.active(View::Products), Some(1));
    let stopped = projector.metric("tidemark_lane_stopped").await;
    assert!(stopped.is_none_or(|stopped| stopped == 0.0), "{stopped:?}");

    world.block_writes_of(View::Products, 2, false).await;
    let settings = format!("{}/_settings", world.names.index("products", 2));
    let open = json!({"index": {"blocks": {"write": false}}});
    world.by_hand("PUT", &settings, Some(&open)).await;
    world
        .until("readers stand on the candidate", || {
            world.active(View::Products) == Some(2)
        })
        .await;
    assert_eq!(price(&world, id).await, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_takes_no_writes_leaves_the_fills_of_other_views_alone() {
    let world = World::open().await;
    let projector = world.projector().await;
    let lamps = (0..64).map(|number| product(&format!("Lamp {number}"), None).1);
    let events: Vec<Event> = lamps.chain([category("Lights").created]).collect();
    let committed = world.commit(&events).await;
    world.visible(View::Products, &committed).await;
    world.visible(View::Categories, &committed).await;

    world.block_writes_of(View::Products, 2, true).await;
    world.wish_replay(View::Products).await;
    let retries = "tidemark_sink_retries_total";
    world
        .eventually("what it may have in flight is tried again", async || {
            projector.metric(retries).await >= Some(20.0)
        })
        .await;
    let lost = world.names.index(View::Categories.name(), 1);
    world.by_hand("DELETE", &lost, None).await;
    let began = clock::instant();
    world
        .until("the lost build has a successor", || {
            world.active(View::Categories) == Some(2)
        })
        .await;
    let took = began.elapsed();
    assert!(took < BACK_WITHIN, "back after {took:?}");
    assert_eq!(world.active(View::Products), Some(1));
}
