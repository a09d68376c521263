//! Events that cannot be folded stop their lane in that view, and nothing else.

use schemas::lane::Lane;
use schemas::view::View;

use crate::world::{World, moved_price, product};

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

/// A product in another lane.
fn elsewhere(lane: Lane) -> (schemas::id::ProductId, schemas::event::Event) {
    std::iter::repeat_with(|| product("Lamp", None))
        .find(|(id, _)| Lane::of(*id) != lane)
        .expect("there are other lanes")
}
