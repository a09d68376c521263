//! What shoppers type, on the catalogue of a real electronics shop: the product that they mean is
//! among the first three hits.
//!
//! Skipped where the catalogue is not at hand: it is data beside the project, not part of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use chassis::clock;
use flate2::read::GzDecoder;
use futures::StreamExt;
use schemas::event::{CategoryRef, ProductCreated};
use schemas::id::{CategoryId, ProductId};
use schemas::money::Money;
use schemas::rest::import::ProductLine;
use schemas::view::Document;
use serde_json::Value;
use uuid::Uuid;

use crate::shop::{Client, Replica, Shop, created_product};

/// What is typed, and skus of which one is meant: colours of one product count as one.
const SEARCHES: [(&str, &[&str]); 42] = [
    // Typing errors.
    ("batery", &["EL-00884", "EL-02355"]),
    ("wireles charger", &["EL-00603"]),
    ("selfi stick", &["EL-03176", "EL-03183", "EL-00549"]),
    ("headfones", &["EL-00452"]),
    ("blutooth headset", &["EL-01743"]),
    ("blackbery 9320", &["EL-00251"]),
    ("screen protecter galaxy s7", &["EL-02613", "EL-02186"]),
    ("urban armour gear lg g5", &["EL-02576", "EL-03062"]),
    // Spellings with and without hyphens and spaces.
    ("usb-c cable", &["EL-01543"]),
    ("usb c cable", &["EL-01543"]),
    ("usbc cable", &["EL-01543"]),
    ("type c adapter", &["EL-01309"]),
    ("wifi hotspot", &["EL-02207"]),
    ("otter box commuter galaxy j3", &["EL-00678"]),
    ("life proof nuud modular", &["EL-01049"]),
    ("pop socket grip", &["EL-00794"]),
    // Skus.
    ("EL-00904", &["EL-00904"]),
    ("el-00904", &["EL-00904"]),
    // Brands, alone and with a kind.
    ("mujjo", &["EL-02412", "EL-03173"]),
    ("weego", &["EL-02777", "EL-02554"]),
    ("tumi moto mod battery", &["EL-02590"]),
    (
        "lightning cable belkin",
        &["EL-00676", "EL-00862", "EL-00708"],
    ),
    ("kate spade portable charger", &["EL-01920"]),
    ("sony xperia z5", &["EL-00351"]),
    // Singular and plural.
    ("selfie sticks", &["EL-02810"]),
    ("jump starters", &["EL-02777"]),
    ("moto 360 bands", &["EL-02860", "EL-02537"]),
    ("phone lenses kit", &["EL-00815"]),
    ("samsung wireless charging battery packs", &["EL-02731"]),
    // While typing.
    ("gorill", &["EL-01165"]),
    ("usb flex f", &["EL-01360"]),
    ("gear v", &["EL-00469"]),
    // Words from different fields, in any order.
    ("sprint iphone 6s 64gb gold", &["EL-00318"]),
    (
        "prepaid phone card verizon",
        &["EL-00570", "EL-00720", "EL-01396"],
    ),
    ("apple watch leather band", &["EL-00856", "EL-00846"]),
    ("usb type c car charger", &["EL-00577"]),
    ("the wall outlet with usb", &["EL-01227", "EL-01050"]),
    ("bluetooth item tracker", &["EL-00502", "EL-00640"]),
    // Accents.
    ("frē waterproof iphone 7", &["EL-00524"]),
    ("fre waterproof iphone 7", &["EL-00524"]),
    ("nuud modular", &["EL-01049"]),
    ("nüüd modular", &["EL-01049"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn shoppers_find_what_they_mean_among_the_first_three() {
    let Some((_shop, replica)) = electronics().await else {
        return;
    };
    let client = replica.client();
    let mut missed = Vec::new();
    for (typed, meant) in SEARCHES {
        let found = first_three(&client, typed).await;
        if !found.iter().any(|(sku, _)| meant.contains(&sku.as_str())) {
            missed.push(format!("{typed:?} means {meant:?} but finds {found:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    let others = futures::stream::iter(typed_by_others());
    let asked = others.for_each_concurrent(4, async |typed| {
        first_three(&client, &typed).await;
    });
    asked.await;
}

/// A third of what people typed into another shop: nothing of it may be an error here.
fn typed_by_others() -> Vec<String> {
    let lines = catalogue("furniture-queries.ndjson.gz")
        .into_iter()
        .flatten();
    let queries = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    queries
        .step_by(3)
        .map(|line| line["query"].as_str().unwrap().to_owned())
        .collect()
}

/// Sku and name of the hits.
async fn first_three(client: &Client, typed: &str) -> Vec<(String, String)> {
    let answer = client.get(&path(typed)).await;
    assert_eq!(answer.status, 200, "{typed:?}: {answer:?}");
    let hits = answer.body["items"].as_array().unwrap().iter();
    let text = |hit: &Value, field: &str| hit[field].as_str().unwrap().to_owned();
    hits.map(|hit| (text(hit, "sku"), text(hit, "name")))
        .collect()
}

fn path(typed: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", typed)
        .append_pair("limit", "3")
        .finish();
    format!("/v1/products?{query}")
}

/// The shop with the whole catalogue visible.
async fn electronics() -> Option<(Shop, Replica)> {
    let lines: Vec<ProductLine> = catalogue("electronics-products.ndjson.gz")?
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    let shop = Shop::open().await;
    let documents = lines.into_iter().map(document).collect();
    shop.write(documents).await;
    let replica = shop.replica().await;
    shop.reached(&replica, 1).await;
    Some((shop, replica))
}

/// The lines of a file of the shared data; none where it is not there.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn catalogue(name: &str) -> Option<impl Iterator<Item = String>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let Ok(file) = std::fs::File::open(folder.join(name)) else {
        eprintln!("skipped: {name} is not in {}", folder.display());
        return None;
    };
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    Some(lines.map(|line| line.unwrap()))
}

/// The product as its events make it.
fn document(line: ProductLine) -> Document {
    let created = ProductCreated {
        product_id: ProductId(clock::new_id()),
        sku: line.sku,
        name: line.name,
        description: line.description,
        brand: line.brand,
        price: Money::new(line.price.amount, &line.price.currency).unwrap(),
        categories: line
            .categories
            .iter()
            .map(|path| categories(path))
            .collect(),
        attributes: line.attributes,
        occurred_at: clock::now(),
    };
    created_product(created, line.inventory).into()
}

/// `A > B > C`; the same path has the same ids.
fn categories(path: &str) -> Vec<CategoryRef> {
    let mut so_far = String::new();
    let steps = path.split(" > ").map(|name| {
        so_far += name;
        CategoryRef {
            id: CategoryId(Uuid::new_v5(&Uuid::NAMESPACE_OID, so_far.as_bytes())),
            name: name.to_owned(),
        }
    });
    steps.collect()
}
