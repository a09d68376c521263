//! What people do to an index by hand: it concerns its own build, and is undone where it can be.

use std::time::Duration;

use chassis::clock;
use schemas::id::ProductId;
use schemas::view::{Document, View};
use serde_json::json;

use crate::world::{Process, World, category, moved_price, product};

/// Far below the time for which a write to a closed index is tried again.
const STEADY: Duration = Duration::from_secs(10);

async fn price(world: &World, id: ProductId) -> i64 {
    match world.found(View::Products, id).await {
        Some(Document::Products(product)) => product.price.amount,
        other => panic!("no product: {other:?}"),
    }
}

/// The same of a product whose version tells of edits by hand.
async fn price_beyond_edits(world: &World, id: ProductId) -> i64 {
    match world.shown(View::Products, id).await {
        Some((version, Document::Products(product))) => {
            assert!(version >= product.seq, "{version}: {product:?}");
            product.price.amount
        }
        other => panic!("no product: {other:?}"),
    }
}

/// A product that the view shows.
async fn visible_lamp(world: &World) -> ProductId {
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;
    id
}

async fn stands_still(projector: &Process) -> bool {
    let gauge = projector.metric("tidemark_lane_stopped").await;
    gauge.is_some_and(|gauge| gauge > 0.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_index_stops_its_own_view_alone() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[category("Lights").created, created]).await;
    world.visible(View::Products, &committed).await;
    world.visible(View::Categories, &committed).await;

    let categories = world.index(View::Categories);
    world
        .by_hand("POST", &format!("{categories}/_close"), None)
        .await;
    let shelf = category("Lamps");
    let late = world.commit(std::slice::from_ref(&shelf.created)).await;
    for amount in 1..=50 {
        let began = clock::instant();
        let committed = world.commit(&[moved_price(id, amount)]).await;
        world.visible(View::Products, &committed).await;
        let took = began.elapsed();
        assert!(took < STEADY, "visible after {took:?}");
        assert_eq!(price(&world, id).await, amount);
    }

    world
        .by_hand("POST", &format!("{categories}/_open"), None)
        .await;
    world.visible(View::Categories, &late).await;
    let found = world.found(View::Categories, shelf.id).await;
    assert!(matches!(found, Some(Document::Categories(_))), "{found:?}");
    assert!(!stands_still(&projector).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_another_shape_is_replaced_by_the_next_event() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (old, created) = product("Lamp", None);
    let first = world.commit(&[created]).await;
    world.visible(View::Products, &first).await;

    // In the place of a document, and before there is one.
    let (new, created) = product("Torch", None);
    let index = world.index(View::Products);
    let shape = json!({"name": "by hand"});
    for id in [old, new] {
        let path = format!("{index}/_doc/{id}");
        world.by_hand("PUT", &path, Some(&shape)).await;
    }
    let committed = world.commit(&[moved_price(old, 7), created]).await;
    world.visible(View::Products, &committed).await;
    world.visible(View::Categories, &committed).await;
    assert_eq!(price(&world, old).await, 7);
    assert_eq!(price(&world, new).await, 100);

    // Nothing of it is remembered: the next reader finds it in the index.
    assert_eq!(projector.stop().await, Some(0));
    let path = format!("{index}/_doc/{old}");
    world.by_hand("PUT", &path, Some(&shape)).await;
    let projector = world.projector().await;
    let committed = world.commit(&[moved_price(old, 8)]).await;
    world.visible(View::Products, &committed).await;
    assert_eq!(price(&world, old).await, 8);
    assert!(!stands_still(&projector).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_document_is_made_again_by_the_next_event() {
    let world = World::open().await;
    let projector = world.projector().await;
    let id = visible_lamp(&world).await;
    let path = format!("{}/_doc/{id}", world.index(View::Products));

    // The projector still has it in memory.
    world.by_hand("DELETE", &path, None).await;
    let began = clock::instant();
    let committed = world.commit(&[moved_price(id, 7)]).await;
    world.visible(View::Products, &committed).await;
    assert!(began.elapsed() < STEADY, "{:?}", began.elapsed());
    assert_eq!(price(&world, id).await, 7);

    // Another one has not.
    assert_eq!(projector.stop().await, Some(0));
    world.by_hand("DELETE", &path, None).await;
    let projector = world.projector().await;
    let committed = world.commit(&[moved_price(id, 8)]).await;
    world.visible(View::Products, &committed).await;
    assert_eq!(price(&world, id).await, 8);
    assert!(!stands_still(&projector).await);
    let restored = "tidemark_documents_restored_total{view=\"products\"}";
    assert_eq!(projector.metric(restored).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_not_lost_in_a_document_that_was_changed_more_often_by_hand() {
    let world = World::open().await;
    let mut projector = world.projector().await;
    let id = visible_lamp(&world).await;
    let index = world.index(View::Products);
    let path = format!("{index}/_update/{id}?refresh=true");
    // Where the projector has it in memory, and where another one has not.
    for (first_amount, names) in [(10, ["a", "b", "c"]), (20, ["d", "e", "f"])] {
        for name in names {
            let edit = json!({"doc": {"name": name}});
            world.by_hand("POST", &path, Some(&edit)).await;
        }
        for amount in first_amount..first_amount + 5 {
            let began = clock::instant();
            let committed = world.commit(&[moved_price(id, amount)]).await;
            world.visible(View::Products, &committed).await;
            assert!(began.elapsed() < STEADY, "{:?}", began.elapsed());
            assert_eq!(price_beyond_edits(&world, id).await, amount);
        }
        assert_eq!(projector.stop().await, Some(0));
        projector = world.projector().await;
    }
    assert!(!stands_still(&projector).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_deleted_more_often_by_hand_is_made_again_by_the_next_event() {
    let world = World::open().await;
    let projector = world.projector().await;
    let id = visible_lamp(&world).await;
    let path = format!("{}/_doc/{id}", world.index(View::Products));
    let shape = json!({"name": "by hand"});
    world.by_hand("DELETE", &path, None).await;
    world.by_hand("PUT", &path, Some(&shape)).await;
    world.by_hand("DELETE", &path, None).await;
    for amount in [7, 8] {
        let began = clock::instant();
        let committed = world.commit(&[moved_price(id, amount)]).await;
        world.visible(View::Products, &committed).await;
        assert!(began.elapsed() < STEADY, "{:?}", began.elapsed());
        assert_eq!(price_beyond_edits(&world, id).await, amount);
    }
    assert!(!stands_still(&projector).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_no_node_takes_does_not_stop_the_watermark() {
    let world = World::open().await;
    let _projector = world.projector().await;
    let id = visible_lamp(&world).await;
    let settings = format!("{}/_settings", world.index(View::Products));
    let one_more = json!({"index": {"number_of_replicas": 1}});
    world.by_hand("PUT", &settings, Some(&one_more)).await;
    for amount in 1..=5 {
        let began = clock::instant();
        let committed = world.commit(&[moved_price(id, amount)]).await;
        world.visible(View::Products, &committed).await;
        assert!(began.elapsed() < STEADY, "{:?}", began.elapsed());
        assert_eq!(price(&world, id).await, amount);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_blocks_writes_gets_them_once_the_block_is_gone() {
    let world = World::open().await;
    let projector = world.projector().await;
    let id = visible_lamp(&world).await;
    let settings = format!("{}/_settings", world.index(View::Products));
    let block = |blocked: bool| json!({"index": {"blocks": {"write": blocked}}});

    // Each item of a bulk is then answered 403.
    world.by_hand("PUT", &settings, Some(&block(true))).await;
    let (other, created) = product("Torch", None);
    let committed = world.commit(&[moved_price(id, 7), created]).await;
    let retries = "tidemark_sink_retries_total";
    let before = projector.metric(retries).await.unwrap_or(0.0);
    world
        .eventually("it is tried again and again", async || {
            projector.metric(retries).await >= Some(before + 3.0)
        })
        .await;
    assert_eq!(price(&world, id).await, 100);

    world.by_hand("PUT", &settings, Some(&block(false))).await;
    world.visible(View::Products, &committed).await;
    assert_eq!(price(&world, id).await, 7);
    assert_eq!(price(&world, other).await, 100);
    assert!(!stands_still(&projector).await);
    let letters = projector.get("/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "no document is poison");
}
