//! What is refused, and the shape of it; conditional reads; readiness.

use schemas::lane::Position;
use schemas::view::{Document, View};

use crate::shop::{Replica, Shop, product};

fn path(document: &Document) -> String {
    format!("/v1/products/{}", document.id())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_known_already_is_not_sent_again() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    let at = shop.write(vec![lamp.clone()]).await[0];
    let client = replica
        .client()
        .with("prefer", "wait=5")
        .holding(shop.written(at));
    let first = client.get(&path(&lamp)).await;
    let etag = first.header("etag").unwrap().to_owned();
    let knowing = replica.client().with("if-none-match", &etag);
    let answer = knowing.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.served()), (304, "covered"));
    assert_eq!(answer.header("etag"), Some(etag.as_str()));
    assert!(answer.header("tidemark").is_some());
    shop.write(vec![lamp.clone()]).await;
    let knowing = knowing.with("prefer", "wait=5");
    let tidemark = shop.written(Position {
        seq: at.seq + 1,
        ..at
    });
    let answer = knowing.holding(tidemark).get(&path(&lamp)).await;
    assert_eq!(
        answer.status, 200,
        "the ladder comes before the ETag: {answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_projection_version_is_sent_again() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let (view, next) = (View::Products, View::Products.version() + 1);
    shop.announce_version(view, 2, next).await;
    for build in [1, 2] {
        shop.index(build, std::slice::from_ref(&lamp)).await;
        shop.publish(view, build, &shop.heads()).await;
    }
    let first = replica.client().get(&path(&lamp)).await;
    let etag = first.header("etag").unwrap().to_owned();
    shop.switch(view, Some(1), 2).await;
    shop.reached(&replica, 2).await;
    let knowing = replica.client().with("if-none-match", &etag);
    let answer = knowing.get(&path(&lamp)).await;
    assert_eq!(
        answer.status, 200,
        "the same events, folded differently: {answer:?}"
    );
    assert_ne!(answer.header("etag"), Some(etag.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found_under_a_covered_read() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let answer = replica.client().get(&path(&product("Lamp").into())).await;
    assert_eq!((answer.status, answer.problem()), (404, "not-found"));
    assert_eq!(answer.served(), "covered");
    assert!(answer.header("tidemark").is_some());
    let answer = replica.client().get("/v1/products/no-uuid").await;
    assert_eq!((answer.status, answer.problem()), (404, "not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_products_are_gone_and_unlisted_ones_have_their_page() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let (mut removed, mut unlisted) = (product("Gone"), product("Hidden"));
    removed.removed = true;
    unlisted.listed = false;
    let (removed, unlisted) = (Document::from(removed), Document::from(unlisted));
    shop.write(vec![removed.clone(), unlisted.clone()]).await;
    let client = replica.client();
    assert_eq!(client.get(&path(&removed)).await.status, 404);
    let answer = client.get(&path(&unlisted)).await;
    assert_eq!(
        (answer.status, &answer.body["listed"]),
        (200, &false.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_ours_are_refused() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let path = path(&product("Lamp").into());
    let token = shop.token(|tidemark| tidemark.raise_offset(1));
    let mut flipped = token.clone().into_bytes();
    flipped[12] = if flipped[12] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let answer = replica.client().holding(flipped).get(&path).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (400, "tidemark-malformed")
    );
    assert!(answer.header("tidemark").is_some());
    let truncated = &token[..token.len() - 2];
    let answer = replica.client().holding(truncated).get(&path).await;
    assert_eq!(answer.status, 400);
    let nine = vec![token; 9].join(", ");
    let answer = replica.client().holding(nine).get(&path).await;
    assert_eq!((answer.status, answer.problem()), (400, "malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_read_before_a_build_is_active() {
    let shop = Shop::closed().await;
    let replica = shop.replica().await;
    let answer = replica.client().get(&path(&product("Lamp").into())).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_says_which_server_it_is_waiting_for() {
    let shop = Shop::closed().await;
    shop.postgres
        .execute("drop table epoch", &[])
        .await
        .unwrap();
    let replica = Replica::launch(&shop);
    let answer = replica.client().get("/readyz").await;
    assert_eq!(
        (answer.status, answer.problem()),
        (503, "dependency-unavailable")
    );
    assert!(answer.body["away"]["postgres"].is_string(), "{answer:?}");
    assert!(
        answer.body["missing"]["watermarks"].is_string(),
        "{answer:?}"
    );
    let answer = replica.client().get(&path(&product("Lamp").into())).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (503, "dependency-unavailable")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_cut_off_alone_is_unready_until_it_hears_from_kafka_again() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    shop.reached(&replica, 1).await;
    let seen_elsewhere = shop.token(|tidemark| tidemark.raise_offset(shop.end() + 1));
    let shopper = replica.client().holding(&seen_elsewhere);
    let answer = shopper.get(&path(&product("Lamp").into())).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    let answer = replica.until_readyz_is(503).await;
    assert!(
        answer.body["missing"]["watermarks"].is_string(),
        "{answer:?}"
    );
    shop.publish(View::Products, 1, &shop.heads()).await;
    let answer = replica.until_readyz_is(200).await;
    assert_eq!(answer.body["status"], "ready", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_gone_is_not_yet_visible_rather_than_an_error() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let index = shop.names.index("products", 1);
    shop.elasticsearch.delete_index(&index).await.unwrap();
    let answer = replica.client().get(&path(&product("Lamp").into())).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_explains_itself() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let client = replica.client();
    let openapi = client.get("/openapi.json").await;
    assert!(openapi.body["paths"]["/v1/products/{id}"]["get"].is_object());
    assert_eq!(client.get("/livez").await.status, 200);
    assert_eq!(client.get("/metrics").await.status, 200);
}
