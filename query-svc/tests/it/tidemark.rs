//! Tokens: pruned, foreign, lost, and what they mean.

use chassis::config::DEVELOPMENT_TIDEMARK_KEYS;
use schemas::id::Epoch;
use schemas::lane::Position;
use schemas::tidemark::{Keyring, Presented, Tidemark};
use schemas::view::{Document, View};
use serde_json::json;

use crate::shop::{Client, Shop, product};

fn path(document: &Document) -> String {
    format!("/v1/products/{}", document.id())
}

fn opened(shop: &Shop, client: &Client) -> Tidemark {
    let keys: Keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    let token = client.tidemark().unwrap();
    match keys.open(&token, shop.names.epoch()).unwrap() {
        Presented::Ours(tidemark) => tidemark,
        Presented::Foreign(foreign) => panic!("{foreign:?}"),
    }
}

fn of_another_history(shop: &Shop) -> String {
    let keys: Keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    keys.sign(&Tidemark::new(Epoch(shop.names.epoch().0 ^ 1)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_visible_everywhere_leaves_the_tidemark() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    let at = shop.write(vec![lamp.clone()]).await[0];
    let client = replica.client().holding(shop.written(at));
    let client = client.with("prefer", "wait=5");
    assert_eq!(client.get(&path(&lamp)).await.status, 200);
    shop.reached(&replica, 1).await;
    assert_eq!(client.get(&path(&lamp)).await.status, 200);
    let tidemark = opened(&shop, &client);
    assert_eq!(tidemark.entries().len(), 0, "{tidemark:?}");
    assert!(tidemark.offset() > 0);
    assert!(tidemark.affinity() > 0);
}

/// A heartbeat changes nothing here; a replica that read the compacted topic may issue its offset.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_covers_a_tidemark_says_that_it_has_read_so_far() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    shop.publish(View::Products, 1, &shop.heads()).await;
    let end = shop.end();
    shop.reached(&replica, 1).await;
    let token = shop.token(|tidemark| tidemark.raise_offset(end));
    let state = replica.client().holding(token).get("/v1/tidemark").await;
    let said = (&state.body["offset"], &state.body["covered"]);
    assert_eq!(said, (&json!(end), &json!(true)), "{state:?}");
    assert!(
        state.body["replica_offset"].as_u64() >= Some(end),
        "{state:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_its_affinity() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    let client = replica.client();
    client.get(&path(&lamp)).await;
    let first = opened(&shop, &client).affinity();
    client.get(&path(&lamp)).await;
    assert_eq!(opened(&shop, &client).affinity(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_tidemark_needs_the_heads_and_becomes_one_of_ours() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    shop.write(vec![lamp.clone()]).await;
    let client = replica.client().holding(of_another_history(&shop));
    let client = client.with("prefer", "wait=5");
    let answer = client.get(&path(&lamp)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let beyond = shop.commit(lamp.clone()).await;
    let client = replica.client().holding(of_another_history(&shop));
    let client = client.with("prefer", "wait=0.1");
    let answer = client.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    let position = Position {
        lane: beyond.lane(),
        seq: beyond.seq(),
    };
    let carried = opened(&shop, &client);
    assert_eq!(
        carried.seq(position.lane),
        position.seq,
        "its new tidemark carries the heads"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_tidemark_is_a_conflict_only_where_the_request_says_so() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let client = replica.client().holding(of_another_history(&shop));
    let client = client.with("prefer", "handling=strict");
    let answer = client.get(&path(&product("Lamp").into())).await;
    assert_eq!((answer.status, answer.problem()), (409, "history-changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_primary_does_not_have_is_lost_history() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    let at = shop.write(vec![lamp.clone()]).await[0];
    let beyond = Position {
        seq: at.seq + 1,
        ..at
    };
    let client = replica.client().holding(shop.written(beyond));
    let client = client.with("prefer", "wait=5");
    let answer = client.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.problem()), (409, "history-changed"));
    let answer = client.get(&path(&lamp)).await;
    assert_eq!(
        answer.status, 200,
        "the tidemark of the refusal starts over: {answer:?}"
    );
}

/// After compaction only the last heartbeat of each key is left: a replica that starts then
/// counts it as a change, and issues its offset.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_serves_tidemarks_of_one_that_counts_a_heartbeat_as_a_change() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    shop.write(vec![lamp.clone()]).await;
    shop.publish(View::Products, 1, &shop.heads()).await;
    let restarted = shop.token(|tidemark| tidemark.raise_offset(shop.end()));
    let client = replica.client().holding(restarted);
    let answer = client.with("prefer", "wait=5").get(&path(&lamp)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidemark_is_explained_view_by_view() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let at = Position {
        lane: lamp.lane(),
        seq: lamp.seq(),
    };
    shop.publish(View::Products, 1, &shop.heads()).await;
    shop.reached(&replica, 1).await;
    let client = replica.client().holding(shop.written(at));
    let answer = client.get("/v1/tidemark").await;
    assert_eq!(answer.status, 200);
    let views = answer.body["views"].as_array().unwrap();
    let covered: Vec<_> = views
        .iter()
        .map(|view| (&view["view"], &view["covered"]))
        .collect();
    let expected = [("categories", false), ("products", true)];
    for ((view, covered), (name, expected)) in covered.into_iter().zip(expected) {
        assert_eq!(view, name);
        assert_eq!(covered, expected, "{name}");
    }
    assert_eq!(answer.body["epoch"], shop.names.epoch().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_reads_another_epoch_ends() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let sql = "update epoch set epoch = epoch # 1";
    shop.postgres.execute(sql, &[]).await.unwrap();
    let client = replica.client().holding(of_another_history(&shop));
    client.get(&path(&product("Lamp").into())).await;
    assert!(replica.stops_within(crate::shop::LIMIT).await);
}
