//! Lists of products: filters, facets, orders, and pages that stay whole while products change.

use std::collections::BTreeSet;

use chassis::config::DEVELOPMENT_TIDEMARK_KEYS;
use chrono::TimeDelta;
use schemas::money::Money;
use schemas::tidemark::Keyring;
use schemas::view::{CategoryDocument, Document, ProductDocument};
use serde_json::Value;

use crate::search::{draft, found, list, names, stocked};
use crate::shop::{Client, Shop, category, created_product, product};

struct Row {
    name: &'static str,
    brand: &'static str,
    price: i64,
    stock: i64,
    rating: Option<f64>,
}

const ROWS: [Row; 5] = [
    Row {
        name: "Amber lamp",
        brand: "Acme",
        price: 900,
        stock: 1,
        rating: Some(4.5),
    },
    Row {
        name: "blue lamp",
        brand: "Acme",
        price: 1_500,
        stock: 0,
        rating: None,
    },
    Row {
        name: "Coral lamp",
        brand: "Bolt",
        price: 3_000,
        stock: 2,
        rating: Some(3.0),
    },
    Row {
        name: "Éclair chair",
        brand: "Bolt",
        price: 3_000,
        stock: 5,
        rating: Some(4.0),
    },
    Row {
        name: "Zebra chair",
        brand: "Cato",
        price: 90_000,
        stock: 1,
        rating: Some(1.5),
    },
];

/// Lamps are in `Home > Lights`, chairs in `Home > Seats`.
fn rows() -> (Vec<Document>, [CategoryDocument; 3]) {
    let home = category("Home", None);
    let lights = category("Lights", Some(&home));
    let seats = category("Seats", Some(&home));
    let mut documents: Vec<Document> = Vec::new();
    for (row, minutes) in ROWS.iter().zip(1..) {
        let below = if row.name.contains("lamp") {
            &lights
        } else {
            &seats
        };
        let mut draft = draft(row.name);
        draft.brand = row.brand.to_owned();
        draft.price = Money::new(row.price, "EUR").unwrap();
        draft.categories = vec![below.path.clone()];
        draft.occurred_at += TimeDelta::minutes(minutes);
        draft
            .attributes
            .insert("size.eu".to_owned(), row.stock.to_string());
        let mut document = created_product(draft, row.stock);
        document.avg_rating = row.rating;
        documents.push(document.into());
    }
    let all = [home, lights, seats];
    documents.extend(all.iter().cloned().map(Document::from));
    (documents, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_orders_are_what_they_say() {
    let (documents, [home, lights, _]) = rows();
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    let (home, lights) = (home.category_id.to_string(), lights.category_id.to_string());
    let cases: [(&[(&str, &str)], &[usize]); 14] = [
        (&[("category", &home)], &[0, 1, 2, 3, 4]),
        (&[("category", &lights)], &[0, 1, 2]),
        (&[("brand", "Acme"), ("brand", "Cato")], &[0, 1, 4]),
        (&[("min_price", "1500"), ("max_price", "3000")], &[1, 2, 3]),
        (&[("in_stock", "true")], &[0, 2, 3, 4]),
        (&[("in_stock", "false")], &[1]),
        (&[("min_rating", "4")], &[0, 3]),
        (&[("attr.size.eu", "2")], &[2]),
        (&[("q", "lamp"), ("brand", "Bolt")], &[2]),
        (&[("sort", "price")], &[0, 1, 2, 3, 4]),
        (&[("sort", "-price"), ("limit", "1")], &[4]),
        (&[("sort", "rating")], &[0, 3, 2, 4, 1]),
        (&[("sort", "newest")], &[4, 3, 2, 1, 0]),
        (&[("sort", "name")], &[0, 1, 2, 3, 4]),
    ];
    for (parameters, rows) in cases {
        let mut found = found(&client, parameters).await;
        let mut expected: Vec<_> = rows.iter().map(|row| ROWS[*row].name).collect();
        if !parameters.iter().any(|(name, _)| *name == "sort") {
            found.sort();
            expected.sort_unstable();
        }
        assert_eq!(found, expected, "{parameters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_facet_counts_what_its_other_choices_would_give() {
    let (documents, [home, lights, seats]) = rows();
    let (_shop, replica) = stocked(documents).await;
    let facets = ("facets", "category,brand,price,rating,in_stock");
    let answer = replica
        .client()
        .get(&list(&[
            ("q", "lamp"),
            ("brand", "Acme"),
            ("in_stock", "true"),
            facets,
        ]))
        .await;
    assert_eq!(names(&answer), ["Amber lamp"]);
    assert_eq!(
        answer.body["total"],
        serde_json::json!({"value": 1, "relation": "eq"})
    );
    let counts = |facet: &str| -> Vec<(String, u64)> {
        let buckets = answer.body["facets"][facet].as_array().unwrap().iter();
        buckets
            .map(|bucket| {
                let label = bucket["label"].as_str().unwrap().to_owned();
                (label, bucket["count"].as_u64().unwrap())
            })
            .collect()
    };
    let of = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        let pairs = pairs.iter();
        pairs
            .map(|(label, count)| ((*label).to_owned(), *count))
            .collect()
    };
    assert_eq!(
        counts("brand"),
        of(&[("Acme", 1), ("Bolt", 1)]),
        "lamps in stock"
    );
    assert_eq!(
        counts("in_stock"),
        of(&[("out of stock", 1), ("in stock", 1)]),
        "of Acme"
    );
    assert_eq!(counts("price"), of(&[("0-999", 1)]));
    assert_eq!(
        counts("rating"),
        of(&[
            ("4 and up", 1),
            ("3 and up", 1),
            ("2 and up", 1),
            ("1 and up", 1)
        ])
    );
    let categories: BTreeSet<_> = counts("category").into_iter().collect();
    assert_eq!(
        categories,
        of(&[("Home", 1), ("Lights", 1)]).into_iter().collect()
    );
    let values: BTreeSet<_> = answer.body["facets"]["category"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| bucket["value"].as_str().unwrap().to_owned())
        .collect();
    let expected = [home.category_id.to_string(), lights.category_id.to_string()];
    assert_eq!(values, expected.into_iter().collect());
    assert!(!values.contains(&seats.category_id.to_string()));
}

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
    let after = found(&replica.client(), &[("sort", "price"), ("limit", "100")]).await;
    assert_ne!(after, before, "the changes are visible to others");
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

/// Closes the point in time that a cursor names.
async fn close_point(shop: &Shop, cursor: &str) {
    let keyring: Keyring = DEVELOPMENT_TIDEMARK_KEYS.parse().unwrap();
    let cursor = keyring.unseal("cursor of products", cursor).unwrap();
    let cursor: Value = serde_json::from_slice(&cursor).unwrap();
    let id = cursor["point"]["id"].as_str().unwrap();
    shop.elasticsearch.close_pit(id).await.unwrap();
}
