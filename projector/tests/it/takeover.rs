//! Restarts, kills and successors: each goes on where the one before was.

use std::time::Duration;

use chassis::clock;
use rstest::rstest;
use schemas::lane::Lane;
use schemas::view::{Document, View};
use serde_json::json;

use crate::world::{Process, World, moved_price, product};

async fn amount(world: &World, id: schemas::id::ProductId) -> i64 {
    match world.found(View::Products, id).await {
        Some(Document::Products(product)) => product.price.amount,
        other => panic!("no product: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_from_the_checkpoint() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created, moved_price(id, 250)]).await;
    world.visible(View::Products, &committed).await;
    assert_eq!(projector.stop().await, Some(0));
    let missed = world.commit(&[moved_price(id, 300)]).await;
    let projector = world.projector().await;
    world.visible(View::Products, &missed).await;
    assert_eq!(amount(&world, id).await, 300);
    let written = "tidemark_documents_total{view=\"products\",outcome=\"written\"}";
    assert_eq!(
        projector.metric(written).await,
        Some(1.0),
        "only what was missed is written"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_cannot_be_parsed_is_none() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;
    assert_eq!(projector.stop().await, Some(0));
    let uuid = world.index_uuid(View::Products).await;
    let path = format!(
        "{}/_doc/{uuid}-{}",
        world.names.checkpoints(),
        committed[0].lane
    );
    let another = json!({"lane": committed[0].lane});
    world.by_hand("PUT", &path, Some(&another)).await;

    let _projector = world.projector().await;
    let missed = world.commit(&[moved_price(id, 300)]).await;
    world.visible(View::Products, &missed).await;
    assert_eq!(amount(&world, id).await, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_projector_takes_over_from_one_that_is_killed() {
    let world = World::open().await;
    let first = world.projector().await;
    let products: Vec<_> = (0..64)
        .map(|n| product(&format!("Lamp {n}"), None))
        .collect();
    let created: Vec<_> = products
        .iter()
        .map(|(_, created)| created.clone())
        .collect();
    let committed = world.commit(&created).await;
    world.visible(View::Products, &committed).await;
    let second = world.projector().await;
    world
        .eventually("both own lanes", async || {
            owns(&first).await && owns(&second).await
        })
        .await;
    first.kill().await;
    let killed = clock::instant();
    let changes: Vec<_> = products.iter().map(|(id, _)| moved_price(*id, 7)).collect();
    let committed = world.commit(&changes).await;
    world.visible(View::Products, &committed).await;
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(12), "caught up after {took:?}");
    for (id, _) in products {
        assert_eq!(amount(&world, id).await, 7);
    }
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_before_has_shown_is_not_measured_as_news() {
    let world = World::open().await;
    let first = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;
    world.visible(View::Categories, &committed).await;
    first.kill().await;

    let second = world.projector().await;
    let published = "tidemark_watermarks_published_total{kind=\"heartbeat\"}";
    world
        .eventually("its watermarks are published", async || {
            second.metric(published).await >= Some(10.0)
        })
        .await;
    let measured = "tidemark_visible_after_seconds_count";
    let before = second.metric(measured).await.unwrap_or(0.0);
    assert!(before == 0.0, "{before} ages are measured");
    let committed = world.commit(&[moved_price(id, 7)]).await;
    world.visible(View::Products, &committed).await;
    world
        .eventually("what is shown first is measured", async || {
            second.metric(measured).await >= Some(1.0)
        })
        .await;
}

async fn owns(projector: &Process) -> bool {
    let owned = projector.owned_lanes().await;
    owned > 0 && owned < usize::from(schemas::lane::LANES)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_changes_ends_the_process() {
    let world = World::open().await;
    let mut projector = world.projector().await;
    world
        .postgres
        .execute("update epoch set epoch = (epoch + 1) % 4294967296", &[])
        .await
        .unwrap();
    assert_eq!(projector.ended().await, Some(75));
}

#[rstest]
#[case::elasticsearch("elasticsearch")]
#[case::kafka("kafka")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_changes_ends_a_process_that_still_waits_for_a_server(#[case] server: &str) {
    let world = World::open().await;
    let mut endpoints = world.namespace.endpoints().clone();
    // Nothing listens there.
    match server {
        "kafka" => endpoints.kafka = "127.0.0.1:1".to_owned(),
        _ => endpoints.elasticsearch = "http://127.0.0.1:1".to_owned(),
    }
    let mut projector = world.starting_projector(&endpoints).await;
    world
        .eventually("it knows the epoch, and waits", async || {
            let ready = projector.get("/readyz").await;
            let away = ready["away"].as_object().cloned().unwrap_or_default();
            away.contains_key(server) && !away.contains_key("postgres")
        })
        .await;
    let sql = "update epoch set epoch = (epoch + 1) % 4294967296";
    world.postgres.execute(sql, &[]).await.unwrap();
    assert_eq!(projector.ended().await, Some(75));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_before_what_was_projected_is_lost_history() {
    let world = World::open().await;
    let mut projector = world.projector().await;
    let committed = world.commit(&[product("Lamp", None).1]).await;
    world.visible(View::Products, &committed).await;
    let lane: Lane = committed[0].lane;
    let lane = i16::from(lane.number());
    world
        .postgres
        .execute("delete from event where lane = $1", &[&lane])
        .await
        .unwrap();
    world
        .postgres
        .execute("update lane set head = 0 where id = $1", &[&lane])
        .await
        .unwrap();
    assert_eq!(projector.ended().await, Some(65));
}
