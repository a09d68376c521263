//! Events become documents; what Kafka doubles, loses or keeps back changes nothing of that.

use rstest::rstest;
use schemas::lane::Lane;
use schemas::view::{Document, View};

use crate::world::{World, category, moved_price, product, renamed};

fn price(document: Option<Document>) -> (i64, u64) {
    match document {
        Some(Document::Products(product)) => (product.price.amount, product.seq),
        other => panic!("no product: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_become_documents_in_the_version_of_their_seq() {
    let world = World::open().await;
    let (id, created) = product("Lamp", None);
    // Before the first start: from the table. After it: from Kafka.
    let mut committed = world.append(&[created]).await;
    let _projector = world.projector().await;
    committed.extend(world.commit(&[moved_price(id, 250)]).await);
    world.visible(View::Products, &committed).await;
    assert_eq!(
        price(world.found(View::Products, id).await),
        (250, committed[1].seq)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watermark_is_never_above_what_a_search_shows() {
    let world = World::open().await;
    let _projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    world.commit(&[created]).await;
    for amount in 1..=40 {
        let committed = world.commit(&[moved_price(id, amount)]).await;
        world.visible(View::Products, &committed).await;
        assert_eq!(price(world.found(View::Products, id).await).0, amount);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_view_ignores_advance_its_watermark_too() {
    let world = World::open().await;
    let _projector = world.projector().await;
    let committed = world.commit(&[product("Lamp", None).1]).await;
    world.visible(View::Categories, &committed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_come_again_change_nothing() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created, moved_price(id, 250)]).await;
    world.visible(View::Products, &committed).await;
    world.publish(&committed).await;
    let later = world.commit(&[moved_price(id, 300)]).await;
    world.visible(View::Products, &later).await;
    assert_eq!(
        price(world.found(View::Products, id).await),
        (300, later[0].seq)
    );
    let written = "tidemark_documents_total{view=\"products\",outcome=\"superseded\"}";
    assert_eq!(projector.metric(written).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_kafka_lost_is_filled_from_the_table() {
    let world = World::open().await;
    let _projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;
    world.append(&[moved_price(id, 250)]).await;
    let later = world
        .commit(&[product("Other", None).1, moved_price(id, 300)])
        .await;
    world.visible(View::Products, &later).await;
    assert_eq!(
        price(world.found(View::Products, id).await),
        (300, later[1].seq)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_at_the_end_of_an_idle_lane_is_filled() {
    let world = World::open().await;
    let _projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let committed = world.commit(&[created]).await;
    world.visible(View::Products, &committed).await;
    let silent = world.append(&[moved_price(id, 250)]).await;
    world.visible(View::Products, &silent).await;
    assert_eq!(
        price(world.found(View::Products, id).await),
        (250, silent[0].seq)
    );
}

#[rstest]
#[case::which_are_taken_in_hand(150, false)]
#[case::which_are_more_than_are_taken_in_hand(2_100, true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_rewrites_all_documents_of_the_category(
    #[case] count: usize,
    #[case] in_one_lane: bool,
) {
    let world = World::open().await;
    let projector = world.projector().await;
    let shelf = category("Lights");
    let mut events = vec![shelf.created.clone()];
    let lane = Lane::of(shelf.id);
    let products: Vec<_> = (0..)
        .map(|n| product(&format!("Lamp {n}"), Some((shelf.id, "Lights"))))
        .filter(|(id, _)| !in_one_lane || Lane::of(*id) == lane)
        .take(count)
        .collect();
    events.extend(products.iter().map(|(_, created)| created.clone()));
    let created = world.commit(&events).await;
    world.visible(View::Products, &created).await;
    // Products change around the rename, also in the same batch.
    let mut events: Vec<_> = products.iter().map(|(id, _)| moved_price(*id, 1)).collect();
    events.push(renamed(shelf.id, "Lamps"));
    events.extend(products.iter().map(|(id, _)| moved_price(*id, 2)));
    events.push(renamed(shelf.id, "Luminaires"));
    let committed = world.commit(&events).await;
    world.visible(View::Products, &committed).await;
    world.visible(View::Categories, &committed).await;
    for (id, _) in &products {
        let Some(Document::Products(document)) = world.found(View::Products, *id).await else {
            panic!("no document of {id}");
        };
        assert_eq!(document.categories[0].name, "Luminaires");
        assert_eq!(document.price.amount, 2);
    }
    let Some(Document::Categories(document)) = world.found(View::Categories, shelf.id).await else {
        panic!("no category");
    };
    assert_eq!(document.name, "Luminaires");
    assert_eq!(projector.metric("tidemark_lane_stopped").await, None);
    let passed = projector.metric("tidemark_barrier_documents_total").await;
    assert_eq!(passed.is_some_and(|documents| documents > 0.0), in_one_lane);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_tells_idle_lanes_and_their_heads() {
    let world = World::open().await;
    let projector = world.projector().await;
    let committed = world.commit(&[product("Lamp", None).1]).await;
    world.visible(View::Products, &committed).await;
    let position = committed[0].position();
    world
        .eventually("the lag report shows it", async || {
            let lag = projector.get("/v1/lag").await;
            let views = lag["views"].as_array().unwrap().clone();
            let products = views
                .iter()
                .find(|view| view["view"] == "products")
                .unwrap();
            let lane = products["builds"][0]["lanes"][position.lane.index()].clone();
            lane["state"] == "idle" && lane["head"] == 1 && lane["visible"] == 1
        })
        .await;
}
