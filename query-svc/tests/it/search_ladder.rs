//! The ladder under searches: all lanes of all views count, and what is shown is remembered.

use schemas::lane::Position;
use schemas::view::{Document, View};

use crate::shop::{Answer, Shop, category, product};

const LAMPS: &str = "/v1/products?q=lamp";

fn names(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().unwrap();
    items
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect()
}

fn position(document: &Document) -> Position {
    Position {
        lane: document.lane(),
        seq: document.seq(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_its_client_wrote() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let (hall, desk) = (product("Hall lamp"), product("Desk lamp"));
    let written = shop.write(vec![hall.into(), desk.into()]).await;
    for at in written {
        let client = replica.client().holding(shop.written(at));
        let answer = client.with("prefer", "wait=5").get(LAMPS).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(names(&answer).len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_waits_for_every_lane_whatever_it_asks_for() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let chair = shop.commit(product("Chair").into()).await;
    let token = shop.written(position(&chair));
    let hasty = replica.client().holding(token.clone());
    let answer = hasty.with("prefer", "wait=0.1").get(LAMPS).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    let client = replica.client().holding(token).with("prefer", "wait=5");
    let (answer, ()) = tokio::join!(client.get(LAMPS), async {
        shop.index(1, std::slice::from_ref(&chair)).await;
        shop.refresh(View::Products, 1).await;
        shop.publish(View::Products, 1, &shop.heads()).await;
    });
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_beyond_the_watermark_is_remembered_by_the_tidemark() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    shop.store(vec![lamp]).await;
    shop.refresh(View::Products, 1).await;
    let client = replica.client();
    assert_eq!(names(&client.get(LAMPS).await), ["Lamp"]);
    let explained = client.get("/v1/tidemark").await;
    assert_eq!(explained.body["covered"], false, "{explained:?}");
    let strict = replica.client().holding(client.tidemark().unwrap());
    let answer = strict.with("prefer", "wait=0.1").get(LAMPS).await;
    assert_eq!(
        answer.problem(),
        "not-yet-visible",
        "no replica may forget it again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lenient_searches_find_what_there_is() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    shop.write(vec![product("Lamp").into()]).await;
    shop.reached(&replica, 1).await;
    let chair = shop.commit(product("Chair").into()).await;
    let client = replica.client().holding(shop.written(position(&chair)));
    let client = client.with("prefer", "handling=lenient, wait=0");
    let answer = client.get(LAMPS).await;
    assert_eq!((answer.status, answer.served()), (200, "stale"));
    assert_eq!(names(&answer), ["Lamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_category_tree_waits_for_both_views_that_it_reads() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lights = category("Lights", None);
    let desk = category("Desk lights", Some(&lights));
    let at = shop.store(vec![lights.into(), desk.into()]).await[1];
    shop.refresh(View::Categories, 1).await;
    shop.publish(View::Categories, 1, &shop.heads()).await;
    shop.reached(&replica, 1).await;
    let hasty = replica.client().holding(shop.written(at));
    let hasty = hasty.with("prefer", "wait=0.1");
    let answer = hasty.get("/v1/categories").await;
    assert_eq!(answer.problem(), "not-yet-visible", "{answer:?}");
    let behind = answer.body["lanes_behind"].as_array().unwrap();
    assert!(
        behind.iter().all(|lane| lane["view"] == "products"),
        "{behind:?}"
    );
    shop.publish(View::Products, 1, &shop.heads()).await;
    let client = replica.client().holding(shop.written(at));
    let answer = client.with("prefer", "wait=5").get("/v1/categories").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body["items"][0]["children"][0]["name"],
        "Desk lights"
    );
}
