//! Words that shoppers type, weird ones too, against a handful of products.

use schemas::event::ProductCreated;
use schemas::id::ProductId;
use schemas::money::Money;
use schemas::view::Document;
use serde_json::Value;

use crate::shop::{Answer, Client, Faults, Replica, Shop, created_product, product};

/// A shop where these documents are visible to the replica.
pub async fn stocked(documents: Vec<Document>) -> (Shop, Replica) {
    let shop = Shop::open().await;
    shop.write(documents).await;
    let replica = shop.replica().await;
    shop.reached(&replica, 1).await;
    (shop, replica)
}

/// A product to be, for tests that set its fields.
pub fn draft(name: &str) -> ProductCreated {
    ProductCreated {
        product_id: ProductId(chassis::clock::new_id()),
        sku: format!("SKU-{}", chassis::clock::new_id()),
        name: name.to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(1_999, "EUR").unwrap(),
        categories: Vec::new(),
        attributes: std::collections::BTreeMap::new(),
        occurred_at: chassis::clock::now(),
    }
}

/// The list with these parameters, percent-encoded.
pub fn list(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    format!("/v1/products?{}", query.finish())
}

pub async fn found(client: &Client, parameters: &[(&str, &str)]) -> Vec<String> {
    let answer = client.get(&list(parameters)).await;
    assert_eq!(answer.status, 200, "{parameters:?}: {answer:?}");
    names(&answer)
}

pub fn names(answer: &Answer) -> Vec<String> {
    let items = answer.body["items"].as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

fn catalogue() -> Vec<Document> {
    let mut battery = draft("Rechargeable Battery AA");
    battery.brand = "Voltaro".to_owned();
    battery.sku = "BAT-AA-4".to_owned();
    let mut chair = draft("Oak chair");
    chair.description = "Goes well with a reading lamp.".to_owned();
    let mut shirt = draft("Shirt");
    shirt.attributes.insert("color".into(), "Crimson".into());
    let mut hidden = product("Hidden lamp");
    hidden.listed = false;
    let mut removed = product("Removed lamp");
    removed.removed = true;
    vec![
        created_product(battery, 3).into(),
        created_product(chair, 0).into(),
        created_product(shirt, 1).into(),
        hidden.into(),
        removed.into(),
        product("Desk Lamp Nora").into(),
        product("USB-C Cable 2 m").into(),
        product("Café table").into(),
        product("Smart Watch").into(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_in_whatever_form_they_are_typed() {
    let (_shop, replica) = stocked(catalogue()).await;
    let client = replica.client();
    for (typed, first) in [
        ("lamps", "Desk Lamp Nora"),
        ("LAMP", "Desk Lamp Nora"),
        ("batery", "Rechargeable Battery AA"),
        ("recharg", "Rechargeable Battery AA"),
        ("bat-aa-4", "Rechargeable Battery AA"),
        ("voltaro battery", "Rechargeable Battery AA"),
        ("battery from voltaro", "Rechargeable Battery AA"),
        ("usb-c cable", "USB-C Cable 2 m"),
        ("usb c cable", "USB-C Cable 2 m"),
        ("usbc cables", "USB-C Cable 2 m"),
        ("cafe", "Café table"),
        ("CAFÉ", "Café table"),
        ("smartwatch", "Smart Watch"),
        ("crimson shirt", "Shirt"),
    ] {
        let found = found(&client, &[("q", typed)]).await;
        assert_eq!(found.first().map(String::as_str), Some(first), "{typed}");
    }
    let lamps = found(&client, &[("q", "lamp")]).await;
    assert_eq!(
        lamps,
        ["Desk Lamp Nora", "Oak chair"],
        "names come before descriptions"
    );
    let everything = found(&client, &[]).await;
    assert_eq!(
        everything.len(),
        7,
        "neither unlisted nor removed: {everything:?}"
    );
}

const WEIRD: [&str; 27] = [
    "",
    "   ",
    "\"",
    "\"lamp",
    "((lamp",
    "lamp))",
    "[lamp}",
    "lamp AND OR NOT",
    "*",
    "?",
    "~",
    "la*",
    "name:lamp",
    "-lamp",
    "+",
    "\\",
    "/lamp/",
    "lamp^1000",
    "🔦",
    "🔦 lamp",
    "!!! ???",
    "\u{202e}pmal",
    "\t\n",
    "ﬃ ½ ①",
    "ラ ンプ",
    "<script>",
    "{\"q\":1}",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_typed_is_no_error() {
    let (_shop, replica) = stocked(vec![product("Desk lamp").into()]).await;
    let client = replica.client();
    let (long, many) = ("\u{1f526}x".repeat(4_000), "ab ".repeat(6_660));
    for typed in WEIRD.into_iter().chain([long.as_str(), many.as_str()]) {
        let list = list(&[("q", typed)]);
        let answer = client.get(&list).await;
        assert_eq!(answer.status, 200, "{typed:.40}: {answer:?}");
        let suggest = list.replace("products?", "products/suggest?");
        assert_eq!(client.get(&suggest).await.status, 200, "{typed:.40}");
    }
    assert_eq!(found(&client, &[("q", "\"(lamp")]).await, ["Desk lamp"]);
    assert!(found(&client, &[("q", "🔦")]).await.is_empty());
    let nul = client.get(&list(&[("q", "l\u{0}amp")])).await;
    assert_eq!((nul.status, nul.problem()), (422, "validation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_without_hits_counts_facets_for_its_answer_only() {
    let shop = Shop::open().await;
    let faults = Faults::start(&shop.namespace.endpoints().elasticsearch);
    let replica = shop.replica_behind(&faults).await;
    shop.write(catalogue()).await;
    shop.reached(&replica, 1).await;
    let parameters = [("q", "quxxo bazzu"), ("facets", "brand,price")];
    assert!(found(&replica.client(), &parameters).await.is_empty());
    let searches = faults.searches();
    let (full, probes): (Vec<_>, Vec<_>) = searches
        .iter()
        .partition(|search| search.get("aggs").is_some());
    assert_eq!((full.len(), probes.len()), (2, 1));
    assert_eq!(probes[0]["size"], 0);
    assert!(probes[0].get("highlight").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_not_acceptable_is_named() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let client = replica.client();
    for (parameter, value) in [
        ("q", "x".repeat(20_001).as_str()),
        ("category", "shoes"),
        ("min_price", "-1"),
        ("max_price", "1e3"),
        ("in_stock", "1"),
        ("min_rating", "6"),
        ("sort", "random"),
        ("facets", "brand,size"),
        ("limit", "101"),
        ("limit", "0"),
        ("attr.", "red"),
        ("page", "2"),
    ] {
        let answer = client.get(&list(&[(parameter, value)])).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (422, "validation"),
            "{parameter}"
        );
        assert_eq!(
            answer.body["errors"][0]["parameter"], parameter,
            "{answer:?}"
        );
        assert!(answer.header("tidemark").is_some());
    }
    let both = client.get(&list(&[("sort", "x"), ("limit", "x")])).await;
    assert_eq!(both.body["errors"].as_array().unwrap().len(), 2);
    assert_eq!(client.get("/v1/products/suggest").await.status, 422);
    assert_eq!(client.get("/v1/categories?depth=2").await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn highlights_mark_words_and_escape_everything_else() {
    let mut draft = draft("<b>Desk</b> lamp");
    draft.description = "Lamps & more, 1 < 2.".to_owned();
    let (_shop, replica) = stocked(vec![created_product(draft, 1).into()]).await;
    let client = replica.client();
    let answer = client.get(&list(&[("q", "desk lamp")])).await;
    let marked = |field: &str| answer.body["items"][0]["highlights"][field][0].clone();
    assert_eq!(
        marked("name"),
        "&lt;b&gt;<em>Desk</em>&lt;&#x2F;b&gt; <em>lamp</em>"
    );
    let description = marked("description");
    assert_eq!(description, "<em>Lamps</em> &amp; more, 1 &lt; 2.");
    let typo = client.get(&list(&[("q", "desk lammp")])).await;
    let name = &typo.body["items"][0]["highlights"]["name"][0];
    assert!(name.as_str().unwrap().contains("<em>lamp</em>"), "{name}");
    let browsed = client.get(&list(&[])).await;
    assert_eq!(browsed.body["items"][0]["highlights"], Value::Null);
}
