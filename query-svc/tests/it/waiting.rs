//! Reads that wait: what may not end a wait, and who may not hold the places.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use schemas::id::Epoch;
use schemas::lane::Position;
use schemas::tidemark::{Keyring, Tidemark};
use schemas::view::{Document, View};

use crate::shop::{Faults, LIMIT, Shop, product};

const LAMPS: &str = "/v1/products?q=lamp";

fn path(document: &Document) -> String {
    format!("/v1/products/{}", document.id())
}

fn position(document: &Document) -> Position {
    Position {
        lane: document.lane(),
        seq: document.seq(),
    }
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    testbed::eventually(what, LIMIT, async || holds()).await;
}

async fn make_visible(shop: &Shop, document: &Document) {
    shop.index(1, std::slice::from_ref(document)).await;
    shop.refresh(View::Products, 1).await;
    shop.publish(View::Products, 1, &shop.heads()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_fails_does_not_end_a_wait() {
    let shop = Shop::open().await;
    let faults = Faults::start(&shop.namespace.endpoints().elasticsearch);
    let replica = shop.replica_behind(&faults).await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let client = replica.client().holding(shop.written(position(&lamp)));
    let client = client.with("prefer", "wait=5");
    faults.fail(Some("/_mget"));
    let path = path(&lamp);
    let (answer, ()) = tokio::join!(client.get(&path), async {
        eventually("two gets have failed", || faults.failed() >= 2).await;
        faults.fail(None);
        make_visible(&shop, &lamp).await;
    });
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_whose_gets_all_fail_says_which_server_is_away() {
    let shop = Shop::open().await;
    let faults = Faults::start(&shop.namespace.endpoints().elasticsearch);
    let replica = shop.replica_behind(&faults).await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let client = replica.client().holding(shop.written(position(&lamp)));
    faults.fail(Some("/_mget"));
    let answer = client.with("prefer", "wait=0.2").get(&path(&lamp)).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (503, "dependency-unavailable"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lenient_readers_of_a_lost_index_are_told_to_come_back() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let index = shop.names.index(View::Products.name(), 1);
    shop.elasticsearch.delete_index(&index).await.unwrap();
    for path in [LAMPS.to_owned(), path(&lamp)] {
        let client = replica.client().holding(shop.written(position(&lamp)));
        let client = client.with("prefer", "wait=0.1, handling=lenient");
        let answer = client.get(&path).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (503, "not-yet-visible"),
            "{path}: {answer:?}"
        );
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_point_in_time_that_fails_is_not_kept() {
    let shop = Shop::open().await;
    let faults = Faults::start(&shop.namespace.endpoints().elasticsearch);
    let replica = shop.replica_behind(&faults).await;
    shop.write(vec![product("Lamp").into()]).await;
    // One session, so that all of its pages would share one point.
    let client = replica.client().with("prefer", "wait=5");
    assert_eq!(client.get(LAMPS).await.status, 200);
    shop.reached(&replica, 1).await;
    assert_eq!(client.get(LAMPS).await.status, 200);
    faults.break_points();
    let failed = client.get(LAMPS).await;
    assert_eq!(failed.problem(), "dependency-unavailable", "{failed:?}");
    let answer = client.get(LAMPS).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Of sixteen places one is for foreign tidemarks.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_tidemarks_leave_the_places_to_others() {
    let shop = Shop::open().await;
    let replica = shop.replica_with(&["--max-waiting=16"]).await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let keys: Keyring = chassis::config::DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    let foreign = keys.sign(&Tidemark::new(Epoch(shop.names.epoch().0 ^ 1)));
    let ask = async |token: String| {
        let client = replica.client().holding(token).with("prefer", "wait=5");
        client.get(LAMPS).await
    };
    let ours = ask(shop.written(position(&lamp)));
    let mut foreign: FuturesUnordered<_> = (0..3).map(|_| ask(foreign.clone())).collect();
    let foreign = async {
        for _ in 0..2 {
            let refused = foreign.next().await.unwrap();
            assert_eq!(refused.problem(), "not-yet-visible", "{refused:?}");
        }
        make_visible(&shop, &lamp).await;
        shop.publish(View::Categories, 1, &shop.heads()).await;
        foreign.next().await.unwrap()
    };
    let (ours, foreign) = tokio::join!(ours, foreign);
    assert_eq!(ours.status, 200, "{ours:?}");
    assert_eq!(foreign.status, 200, "{foreign:?}");
}

/// Heartbeats of a publisher whose clock is far off, read by a replica that has followed.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_with_another_time_is_waited_for() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let mut watermark = shop.watermark(View::Products, &shop.heads());
    watermark.lanes = schemas::lane::Lane::all()
        .map(|lane| schemas::watermark::LaneMark {
            lane,
            seq: 0,
            head: Some(0),
        })
        .collect();
    watermark.at -= chrono::TimeDelta::seconds(10);
    shop.publish_as(View::Products, 1, watermark).await;
    shop.reached(&replica, 1).await;
    let state = replica.client().get("/v1/tidemark").await.body;
    let views = state["views"].as_array().cloned().unwrap_or_default();
    let mut products = views.iter().filter(|view| view["view"] == "products");
    let is_heard = products.all(|view| view["behind_seconds"].as_f64() < Some(5.0));
    assert!(is_heard, "{state}");
    let lamp = shop.commit(product("Lamp").into()).await;
    let client = replica.client().holding(shop.written(position(&lamp)));
    let answer = client.get(&path(&lamp)).await;
    assert_eq!(answer.problem(), "not-yet-visible");
    // Soon: it has waited, since the owner was heard just now.
    assert_eq!(answer.body["retry_after_ms"], 250, "{answer:?}");
}
