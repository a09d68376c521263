//! Filling a build from the event table: bounded in memory, page by page, up to what is refused; and
//! that what follows a fill is bounded as well.

use schemas::event::Envelope;
use schemas::id::ProductId;
use schemas::lane::{Lane, Seq};
use schemas::view::View;

use crate::world::{World, detailed, moved_price, product, products_of_a_lane};

const MIB: u64 = 1024 * 1024;

/// Appends products of one lane whose descriptions are as large as events may be.
async fn append_large(world: &World, lane: Lane, count: usize) -> Envelope {
    append_large_products(world, lane, count).await.1
}

/// The same; the ids of the products too.
async fn append_large_products(
    world: &World,
    lane: Lane,
    count: usize,
) -> (Vec<ProductId>, Envelope) {
    let description = "x".repeat(250_000);
    let (mut ids, mut last) = (Vec::new(), None);
    for _ in 0..count.div_ceil(20) {
        let products: Vec<_> = products_of_a_lane(lane).take(20).collect();
        ids.extend(products.iter().map(|(id, _)| *id));
        let created = products.iter().map(|(_, created)| created.clone());
        let large = products
            .iter()
            .map(|(id, _)| detailed(*id, &description, &[]));
        last = world
            .append(&created.chain(large).collect::<Vec<_>>())
            .await
            .pop();
    }
    (ids, last.unwrap())
}

/// How far a lane of the first build is visible, also before readers may switch to it.
fn filled(world: &World, lane: Lane) -> Option<Seq> {
    world.tail.read(|state| {
        let build = state.view(View::Products.name())?.builds.get(&1)?;
        Some(build.visible.get(lane))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_refused_stops_its_lane_at_the_event_at_fault() {
    let world = World::open().await;
    let lane = Lane::of(product("Lamp", None).0);
    let mut products = products_of_a_lane(lane);
    let (id, created) = products.next().unwrap();
    // Elasticsearch takes no attribute whose name is longer than a term may be.
    let immense = "n".repeat(40_000);
    let appended = world
        .append(&[
            created,
            moved_price(id, 200),
            detailed(id, "as bright as it gets", &[("colour", "red")]),
            detailed(id, "as bright as it gets", &[(&immense, "red")]),
            moved_price(id, 300),
            products.next().unwrap().1,
        ])
        .await;
    let at_fault = &appended[3];
    let projector = world.projector().await;
    world.until_dead_letter(&projector, at_fault).await;
    world
        .until("all before it is visible", || {
            filled(&world, lane) == Some(at_fault.seq - 1)
        })
        .await;
    let index = world.names.index(View::Products.name(), 1);
    let ids = [id.to_string()];
    let found = world.elasticsearch.mget(&index, &ids).await.unwrap();
    let found = found[0].as_ref().expect("it is there as it was before");
    assert_eq!(found.version, at_fault.seq - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_of_large_events_takes_a_bounded_amount_of_memory() {
    let world = World::open().await;
    let lane = Lane::of(product("Lamp", None).0);
    let last = append_large(&world, lane, 800).await;
    let projector = world.projector().await;
    world.visible(View::Products, &[last]).await;
    let peak = projector.peak_memory() / MIB;
    assert!(peak < 160, "{peak} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_events_of_large_documents_takes_a_bounded_amount_of_memory() {
    let mut world = World::open().await;
    world.cache_mebibytes = 1;
    let lane = Lane::of(product("Lamp", None).0);
    let (ids, last) = append_large_products(&world, lane, 300).await;
    let projector = world.projector().await;
    world.visible(View::Products, &[last]).await;
    // Another one has none of the documents in memory, and all of the events are one batch.
    assert_eq!(projector.stop().await, Some(0));
    let burst: Vec<_> = ids.iter().map(|id| moved_price(*id, 7)).collect();
    let appended = world.append(&burst).await;
    let projector = world.projector().await;
    world.visible(View::Products, &appended).await;
    let peak = projector.peak_memory() / MIB;
    assert!(peak < 110, "{peak} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_not_read_is_read_again_and_no_document_is_written_twice() {
    const PRODUCTS: usize = 600;
    let written = "tidemark_documents_total{view=\"products\",outcome=\"written\"}";
    let world = World::open().await;
    let lane = Lane::of(product("Lamp", None).0);
    let last = append_large(&world, lane, PRODUCTS).await;
    let projector = world.projector().await;
    world
        .eventually("some documents are written", async || {
            projector.metric(written).await.is_some()
        })
        .await;
    world
        .eventually("a page was asked for again", async || {
            world.disconnect_projector().await;
            projector.metric("tidemark_fill_retries_total").await > Some(0.0)
        })
        .await;
    world.visible(View::Products, &[last]).await;
    assert_eq!(projector.metric(written).await, Some(PRODUCTS as f64));
}
