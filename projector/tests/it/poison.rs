//! Events that cannot be folded, or whose document is refused, stop their lane in that view before
//! them, and nothing else.

use schemas::lane::Lane;
use schemas::view::{Document, View};

use crate::world::{World, detailed, moved_price, product, products_of_a_lane};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_stops_its_lane_and_is_recorded() {
    let world = World::open().await;
    let projector = world.projector().await;
    // A view whose first build has not taken over yet has nothing to read at all.
    let before = world.commit(&[product("Lamp", None).1]).await;
    world.visible(View::Products, &before).await;
    let (unborn, _) = product("Never created", None);
    let lane = Lane::of(unborn);
    let (id, created) = elsewhere(lane);
    let poison = world.commit(&[moved_price(unborn, 1)]).await;
    let later = world.commit(&[created, moved_price(id, 2)]).await;
    world.visible(View::Products, &later).await;
    // To the other view it is none of its business.
    world.visible(View::Categories, &poison).await;
    let stands_before = poison[0].seq - 1;
    assert_eq!(world.watermark(View::Products, lane), stands_before);
    world
        .eventually("the dead letter is recorded", async || {
            let letters = projector.get("/v1/dead-letters").await;
            let letter = &letters["items"][0];
            letter["view"] == "products"
                && letter["lane"] == lane.number()
                && letter["seq"] == poison[0].seq
                && letter["event_id"] == poison[0].event_id.to_string()
        })
        .await;
    let labels = format!("build=\"products-b1\",lane=\"{lane}\",kind=\"poison\",view=\"products\"");
    let gauge = format!("tidemark_lane_stopped{{{labels}}}");
    assert_eq!(projector.metric(&gauge).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_refused_stops_its_lane_before_the_event_at_fault() {
    let world = World::open().await;
    let projector = world.projector().await;
    let (id, created) = product("Lamp", None);
    let lane = Lane::of(id);
    let first = world.commit(&[created]).await;
    world.visible(View::Products, &first).await;
    let (other, other_created) = products_of_a_lane(lane).next().unwrap();
    // Elasticsearch takes no attribute whose name is longer than a term may be.
    let immense = "n".repeat(40_000);
    let appended = world
        .append(&[
            moved_price(id, 200),
            other_created,
            detailed(id, "as bright as it gets", &[("colour", "red")]),
            moved_price(id, 300),
            detailed(id, "as bright as it gets", &[(&immense, "red")]),
            moved_price(id, 400),
            moved_price(other, 500),
        ])
        .await;
    let at_fault = &appended[4];
    // The table is asked for what comes before it, so all of it is one batch.
    world.publish(&appended[6..]).await;
    world.until_dead_letter(&projector, at_fault).await;
    world
        .until("all before it is visible", || {
            world.watermark(View::Products, lane) == at_fault.seq - 1
        })
        .await;
    let found = world.found(View::Products, id).await;
    let Some(Document::Products(lamp)) = found else {
        panic!("no product: {found:?}");
    };
    assert_eq!((lamp.seq, lamp.price.amount), (at_fault.seq - 1, 300));
    assert!(world.found(View::Products, other).await.is_some());
}

/// A product in another lane.
fn elsewhere(lane: Lane) -> (schemas::id::ProductId, schemas::event::Event) {
    std::iter::repeat_with(|| product("Lamp", None))
        .find(|(id, _)| Lane::of(*id) != lane)
        .expect("there are other lanes")
}
