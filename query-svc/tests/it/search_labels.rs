//! Labels of points in time: what a page from an older state proves, and what it does not.

use std::time::Duration;

use chassis::clock::Deadline;
use chassis::config::DEVELOPMENT_TIDEMARK_KEYS;
use schemas::money::Money;
use schemas::tidemark::{Keyring, Presented, Tidemark};
use schemas::view::{Document, ProductDocument, View};
use serde_json::{Value, json};

use crate::search::{list, names};
use crate::shop::{Answer, Client, LIMIT, Shop, product};

const BY_NAME: &[(&str, &str)] = &[("sort", "name"), ("limit", "2")];

#[tokio::test(flavor = "multi_thread")]
async fn a_later_page_raises_the_tidemark_to_what_it_shows() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let positions = shop.store(lamps(4)).await;
    shop.refresh(View::Products, 1).await;
    // The point is opened between the refresh and the watermark.
    let first = replica.client().get(&list(BY_NAME)).await;
    shop.publish(View::Products, 1, &shop.heads()).await;
    shop.reached(&replica, 1).await;
    let client = replica.client();
    let second = client.get(&after(&first)).await;
    assert_eq!(names(&second), ["Lamp 2", "Lamp 3"]);
    let tidemark = opened(&shop, &client);
    for shown in &positions[2..] {
        assert!(tidemark.seq(shown.lane) >= shown.seq, "{tidemark:?}");
    }
    assert!(tidemark.offset() > 0, "G of the point: {tidemark:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_below_the_floors_does_not_serve_a_tidemark_later() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let mut placed = Vec::new();
    for lamp in lamps(5) {
        placed.push(shop.commit(lamp).await);
    }
    let (view, heads) = (View::Products, shop.heads());
    shop.announce(view, 2).await;
    shop.index(1, &placed).await;
    shop.index(2, &placed[..3]).await;
    shop.refresh(view, 1).await;
    shop.refresh(view, 2).await;
    shop.publish(view, 1, &heads).await;
    shop.switch(view, Some(1), 2).await;
    shop.reached(&replica, 2).await;
    let first = replica.client().get(&list(BY_NAME)).await;
    shop.index(2, &placed[3..]).await;
    shop.refresh(view, 2).await;
    shop.publish(view, 2, &heads).await;
    shop.reached(&replica, 2).await;
    let seen = shop.token(|tidemark| tidemark.raise_offset(1));
    let second = replica.client().holding(seen).get(&after(&first)).await;
    assert_eq!(names(&second), ["Lamp 2", "Lamp 3"], "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_history_goes_on_in_this_one() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    shop.write(lamps(3)).await;
    shop.reached(&replica, 1).await;
    let mut first = replica.client().get(&list(BY_NAME)).await;
    shop.write(vec![lamp(9).into()]).await;
    shop.reached(&replica, 1).await;
    let kept = replica.client().get(&after(&first)).await;
    assert_eq!(names(&kept), ["Lamp 2"], "the point is still open");
    let keyring: Keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    let sealed = first.body["next_cursor"].as_str().unwrap();
    let opened = keyring.unseal("cursor of products", sealed).unwrap();
    let mut cursor: Value = serde_json::from_slice(&opened).unwrap();
    cursor["point"]["epoch"] = json!(shop.names.epoch().0 ^ 1);
    let sealed = keyring.seal("cursor of products", cursor.to_string().as_bytes());
    first.body["next_cursor"] = json!(sealed);
    // Soon: for a second after a change, first pages share the state before it.
    let deadline = Deadline::within(LIMIT);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let other = names(&replica.client().get(&after(&first)).await);
        if other == ["Lamp 2", "Lamp 9"] {
            break;
        }
        assert!(!deadline.has_passed(), "not in time: {other:?}");
    }
}

fn lamps(number: i64) -> Vec<Document> {
    (0..number).map(|number| lamp(number).into()).collect()
}

fn lamp(number: i64) -> ProductDocument {
    let mut lamp = product(&format!("Lamp {number}"));
    lamp.price = Money::new(1_000 + number, "EUR").unwrap();
    lamp
}

fn after(page: &Answer) -> String {
    let cursor = page.body["next_cursor"].as_str().unwrap();
    list(&[BY_NAME, &[("cursor", cursor)]].concat())
}

fn opened(shop: &Shop, client: &Client) -> Tidemark {
    let keys: Keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    let token = client.tidemark().unwrap();
    match keys.open(&token, shop.names.epoch()).unwrap() {
        Presented::Ours(tidemark) => tidemark,
        Presented::Foreign(foreign) => panic!("{foreign:?}"),
    }
}
