//! A refresh shows what was acknowledged before it was sent, and no watermark claims more.

use schemas::event::Envelope;
use schemas::id::ProductId;
use schemas::view::View;

use crate::world::{HeldRefreshes, LIMIT, World, product};

/// Enough that most of them are written while a refresh is in flight.
const MANY: usize = 400;

/// True where the view's watermark covers all of these events, or any of them.
fn covered(world: &World, envelopes: &[Envelope]) -> (bool, bool) {
    let is_covered =
        |of: &Envelope| world.watermark(View::Products, of.position().lane) >= of.position().seq;
    (
        envelopes.iter().all(is_covered),
        envelopes.iter().any(is_covered),
    )
}

/// Waits until Elasticsearch has acknowledged a document of these products, visible or not.
async fn one_is_acknowledged(world: &World, ids: &[ProductId]) {
    let index = world.index(View::Products);
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    world
        .eventually("a document is written", async || {
            let found = world.elasticsearch.mget(&index, &ids).await.unwrap();
            found.iter().any(Option::is_some)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_while_a_refresh_is_in_flight_waits_for_the_next_one() {
    let world = World::open().await;
    let refreshes = HeldRefreshes::start(&world.namespace.endpoints().elasticsearch);
    let _projector = world.projector_behind(&refreshes).await;
    let first = world.commit(&[product("Lamp", None).1]).await;
    world.visible(View::Products, &first).await;

    refreshes.hold();
    let (torch, created) = product("Torch", None);
    let before = world.commit(&[created]).await;
    one_is_acknowledged(&world, &[torch]).await;
    refreshes.one_is_held(LIMIT).await;
    let (ids, events): (Vec<_>, Vec<_>) = (0..MANY).map(|_| product("Candle", None)).unzip();
    let during = world.commit(&events).await;
    one_is_acknowledged(&world, &ids).await;
    assert_eq!(covered(&world, &before), (false, false));

    // The next refresh shows them, and its answer is held as well.
    refreshes.answer_one();
    world.visible(View::Products, &before).await;
    refreshes.one_is_held(LIMIT).await;
    let (_, any) = covered(&world, &during);
    assert!(!any, "a watermark claims what its refresh did not show");

    refreshes.answer_all();
    world.visible(View::Products, &during).await;
    assert!(world.found(View::Products, ids[MANY - 1]).await.is_some());
}
