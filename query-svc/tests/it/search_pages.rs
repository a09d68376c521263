//! Pages of a list: they stay whole while products change, and go on where they can.

use chassis::clock;
use chassis::config::DEVELOPMENT_TIDEMARK_KEYS;
use chrono::TimeDelta;
use futures::StreamExt;
use schemas::money::Money;
use schemas::tidemark::Keyring;
use schemas::view::{Document, ProductDocument};
use serde_json::Value;

use crate::search::{found, list, names, stocked};
use crate::shop::{Client, Faults, Shop, product};

#[tokio::test(flavor = "multi_thread")]
async fn pages_add_up_to_the_list_in_every_order() {
    let documents = (0..25).map(|number| numbered(number).into()).collect();
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    for order in ["relevance", "price", "-price", "rating", "newest", "name"] {
        for base in [&[("sort", order)][..], &[("q", "lamp"), ("sort", order)]] {
            let whole = found(&client, &[base, &[("limit", "100")]].concat()).await;
            let paged = all_pages(&client, base, "4", async |_, _| {}).await;
            assert_eq!(whole.len(), 25);
            assert_eq!(paged, whole, "{base:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_stays_whole_while_its_products_change_places() {
    let lamps: Vec<ProductDocument> = (0..25).map(numbered).collect();
    let (shop, replica) = stocked(lamps.iter().cloned().map(Document::from).collect()).await;
    let (client, parameters) = (replica.client(), [("sort", "price")]);
    let before = found(&replica.client(), &[("sort", "price"), ("limit", "100")]).await;
    // Each reader has seen nothing newer than its first page, so it may keep to that state.
    let paged = all_pages(&client, &parameters, "10", async |page, _| {
        let moved = lamps
            .iter()
            .map(|lamp| repriced(lamp, 100_000 - page - lamp.price.amount));
        shop.write(moved.collect()).await;
        shop.reached(&replica, 1).await;
    });
    assert_eq!(paged.await, before);
    let seen_all = shop.token(|tidemark| tidemark.raise_offset(shop.end()));
    let other = replica.client().holding(seen_all);
    let after = found(&other, &[("sort", "price"), ("limit", "100")]).await;
    assert_ne!(after, before, "the changes are visible to others");
}

/// Three rounds of 501, with a change between them: far more than one point in time each would be.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_stays_whole_after_hundreds_of_anonymous_searches() {
    let shop = Shop::open().await;
    let faults = Faults::start(&shop.namespace.endpoints().elasticsearch);
    let replica = shop.replica_behind(&faults).await;
    let lamps: Vec<ProductDocument> = (0..25).map(numbered).collect();
    let (client, parameters) = (replica.client(), [("sort", "price")]);
    let started = clock::instant();
    for round in 0..3 {
        shop.write(
            lamps
                .iter()
                .map(|lamp| repriced(lamp, round + lamp.price.amount))
                .collect(),
        )
        .await;
        shop.reached(&replica, 1).await;
        let searches = futures::stream::iter(0..501).map(async |_| {
            let answer = client.stranger().get(&list(&parameters)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        });
        searches.buffer_unordered(32).collect::<Vec<()>>().await;
    }
    let (opened, seconds) = (faults.points_opened(), started.elapsed().as_secs());
    assert!(opened as u64 <= seconds + 1, "{opened} in {seconds} s");
    let paged = all_pages(&client, &parameters, "10", async |page, _| {
        let moved = lamps
            .iter()
            .map(|lamp| repriced(lamp, 100_000 - page - lamp.price.amount));
        shop.write(moved.collect()).await;
        shop.reached(&replica, 1).await;
    });
    let mut paged = paged.await;
    paged.sort();
    let all: Vec<String> = lamps.iter().map(|lamp| lamp.name.clone()).collect();
    assert_eq!(paged, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_written_goes_on_in_a_state_that_shows_it() {
    let lamps: Vec<ProductDocument> = (0..5).map(numbered).collect();
    let (shop, replica) = stocked(lamps.iter().cloned().map(Document::from).collect()).await;
    let client = replica.client();
    let first = client
        .get(&list(&[("sort", "price"), ("limit", "2")]))
        .await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let at = shop.write(vec![repriced(&lamps[0], 99_999)]).await[0];
    let writer = replica
        .client()
        .holding(shop.written(at))
        .with("prefer", "wait=5");
    let rest = writer
        .get(&list(&[("sort", "price"), ("cursor", cursor)]))
        .await;
    assert_eq!(names(&rest).last(), Some(&"Lamp 00".to_owned()), "{rest:?}");
    let again = client
        .get(&list(&[("sort", "price"), ("cursor", cursor)]))
        .await;
    assert_eq!(names(&again), ["Lamp 02", "Lamp 03", "Lamp 04"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_when_its_point_in_time_is_gone() {
    let documents = (0..9).map(|number| numbered(number).into()).collect();
    let (shop, replica) = stocked(documents).await;
    let client = replica.client();
    let whole = found(&client, &[("sort", "name")]).await;
    let paged = all_pages(&client, &[("sort", "name")], "4", async |_, cursor| {
        close_point(&shop, cursor).await;
    });
    assert_eq!(paged.await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_list_only() {
    let documents = (0..5).map(|number| numbered(number).into()).collect();
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    let first = client.get(&list(&[("q", "lamp"), ("limit", "2")])).await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let mut bent = cursor.to_owned();
    bent.replace_range(30..31, if &cursor[30..31] == "A" { "B" } else { "A" });
    for (q, cursor) in [
        ("lamp", bent.as_str()),
        ("lamps", cursor),
        ("lamp", "e30"),
        ("lamp", ""),
    ] {
        let answer = client.get(&list(&[("q", q), ("cursor", cursor)])).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "cursor-malformed"),
            "{q} {cursor}"
        );
    }
    let last = client.get(&list(&[("q", "lamp"), ("limit", "5")])).await;
    assert_eq!(
        last.body["next_cursor"],
        Value::Null,
        "a full last page has no next"
    );
}

fn numbered(number: i64) -> ProductDocument {
    let mut lamp = product(&format!("Lamp {number:02}"));
    lamp.price = Money::new(1_000 + number / 2, "EUR").unwrap();
    lamp.created_at += TimeDelta::seconds(number / 3);
    lamp.avg_rating = (number % 2 == 0).then_some(4.0);
    lamp
}

fn repriced(lamp: &ProductDocument, amount: i64) -> Document {
    let mut lamp = lamp.clone();
    lamp.price = Money::new(amount, "EUR").unwrap();
    lamp.into()
}

/// Follows the cursors to the end; `between` runs after each page that has a next.
async fn all_pages(
    client: &Client,
    parameters: &[(&str, &str)],
    limit: &str,
    between: impl AsyncFn(i64, &str),
) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0.. {
        let mut parameters = [parameters, &[("limit", limit)]].concat();
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = client.get(&list(&parameters)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        all.extend(names(&answer));
        cursor = answer.body["next_cursor"].as_str().map(str::to_owned);
        match &cursor {
            Some(cursor) => between(page, cursor).await,
            None => break,
        }
    }
    all
}

/// Closes the point in time that a cursor names; none where a new one could not be opened so soon.
async fn close_point(shop: &Shop, cursor: &str) {
    let keyring: Keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    let cursor = keyring.unseal("cursor of products", cursor).unwrap();
    let cursor: Value = serde_json::from_slice(&cursor).unwrap();
    if let Some(id) = cursor["point"]["id"].as_str() {
        shop.elasticsearch.close_pit(id).await.unwrap();
    }
}
