//! Lists of products: filters, facets and orders.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use schemas::money::Money;
use schemas::view::{CategoryDocument, Document};
use serde_json::Value;

use crate::search::{draft, found, list, names, stocked};
use crate::shop::{Answer, category, created_product};

/// Parameters, and the rows that they find.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [usize]);

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
    let cases: [Case<'_>; 14] = [
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
    let (documents, [home, lights, _]) = rows();
    let (_shop, replica) = stocked(documents).await;
    let asked = [
        ("q", "lamp"),
        ("brand", "Acme"),
        ("in_stock", "true"),
        ("facets", "category,brand,price,rating,in_stock"),
    ];
    let answer = replica.client().get(&list(&asked)).await;
    assert_eq!(names(&answer), ["Amber lamp"]);
    let total = serde_json::json!({"value": 1, "relation": "eq"});
    assert_eq!(answer.body["total"], total);
    assert_eq!(
        choices(&answer, "brand"),
        ["Acme: 1", "Bolt: 1"],
        "lamps in stock"
    );
    let stock = choices(&answer, "in_stock");
    assert_eq!(stock, ["out of stock: 1", "in stock: 1"], "lamps of Acme");
    assert_eq!(choices(&answer, "price"), ["0-999: 1"]);
    let stars = ["4 and up: 1", "3 and up: 1", "2 and up: 1", "1 and up: 1"];
    assert_eq!(choices(&answer, "rating"), stars);
    let mut categories = choices(&answer, "category");
    categories.sort();
    assert_eq!(categories, ["Home: 1", "Lights: 1"]);
    let values = answer.body["facets"]["category"].as_array().unwrap().iter();
    let values: BTreeSet<_> = values.map(|one| one["value"].as_str().unwrap()).collect();
    let (home, lights) = (home.category_id.to_string(), lights.category_id.to_string());
    assert_eq!(values, BTreeSet::from([home.as_str(), lights.as_str()]));
}

/// Label and count of each choice.
fn choices(answer: &Answer, facet: &str) -> Vec<String> {
    let choices = answer.body["facets"][facet].as_array().unwrap().iter();
    let label = |choice: &Value| choice["label"].as_str().unwrap().to_owned();
    choices
        .map(|choice| format!("{}: {}", label(choice), choice["count"]))
        .collect()
}
