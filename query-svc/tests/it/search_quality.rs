//! What shoppers type, on the catalogue of a real electronics shop: the product that they mean is
//! among the first three hits.
//!
//! Skipped where the catalogue is not at hand: it is data beside the project, not part of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use chassis::clock;
use flate2::read::GzDecoder;
use schemas::event::{CategoryRef, Envelope, Event, Meta, ProductCreated, StockAdjusted};
use schemas::id::{CategoryId, Epoch, ProductId};
use schemas::lane::Lane;
use schemas::money::Money;
use schemas::rest::import::ProductLine;
use schemas::view::{Document, View};
use serde_json::Value;
use uuid::Uuid;

use crate::shop::{Client, Replica, Shop};

/// What is typed, and how the sku, brand and name of what is meant read.
const SEARCHES: [(&str, &[&str]); 41] = [
    ("batery", &[]),
    ("usb-c cable", &[]),
    ("usb c cable", &[]),
    ("usbc cable", &[]),
    ("EL-00904", &[]),
    ("el-00904", &[]),
    ("otterbox", &[]),
    ("otter box", &[]),
    ("iphone 7", &[]),
    ("iphone 7 case black", &[]),
    ("samsung galaxy s7 case", &[]),
    ("wireles charger", &[]),
    ("selfie sticks", &[]),
    ("mophie juice pack", &[]),
    ("apple watch band leather", &[]),
    ("fre case", &[]),
    ("frē waterproof", &[]),
    ("nuud", &[]),
    ("headfones", &[]),
    ("car charger", &[]),
    ("screen protecter iphone 6", &[]),
    ("portable batteries", &[]),
    ("lightning cable belkin", &[]),
    ("prepaid phone verizon", &[]),
    ("iph", &[]),
    ("kate spad", &[]),
    ("motorola unlocked phone gold", &[]),
    ("micro usb cables", &[]),
    ("tumi moto mod battery", &[]),
    ("type c adapter", &[]),
    ("phone lens kit", &[]),
    ("sim card", &[]),
    ("smart watch", &[]),
    ("smartwatch", &[]),
    ("usb fan", &[]),
    ("\"iphone 7", &[]),
    ("(((", &[]),
    ("jump starter", &[]),
    ("wifi hotspot", &[]),
    ("pop socket", &[]),
    ("blutooth headset", &[]),
];

#[tokio::test(flavor = "multi_thread")]
async fn shoppers_find_what_they_mean_among_the_first_three() {
    let Some((_shop, replica)) = electronics().await else {
        return;
    };
    let client = replica.client();
    let mut missed = Vec::new();
    for (typed, wanted) in SEARCHES {
        let found = first_three(&client, typed).await;
        eprintln!("{typed:?}");
        for hit in &found { eprintln!("    {hit}"); }
        let is_wanted = |hit: &String| wanted.iter().all(|part| hit.contains(&part.to_lowercase()));
        if !found.iter().any(is_wanted) {
            missed.push(format!("{typed:?} wants {wanted:?}, finds {found:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Sku, brand and name of the hits, in lower case.
async fn first_three(client: &Client, typed: &str) -> Vec<String> {
    let answer = client.get(&path(typed)).await;
    assert_eq!(answer.status, 200, "{typed:?}: {answer:?}");
    let hits = answer.body["items"].as_array().unwrap().iter();
    let text = |hit: &Value, field: &str| hit[field].as_str().unwrap().to_owned();
    hits.map(|hit| {
        let (sku, brand, name) = (text(hit, "sku"), text(hit, "brand"), text(hit, "name"));
        format!("{sku} | {brand} | {name}").to_lowercase()
    })
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
    let (id, now) = (ProductId(clock::new_id()), clock::now());
    let created = ProductCreated {
        product_id: id,
        sku: line.sku,
        name: line.name,
        description: line.description,
        brand: line.brand,
        price: Money::new(line.price.amount, &line.price.currency).unwrap(),
        categories: line.categories.iter().map(|path| categories(path)).collect(),
        attributes: line.attributes,
        occurred_at: now,
    };
    let adjusted = StockAdjusted {
        product_id: id,
        delta: line.inventory,
        reason: "import".to_owned(),
        on_hand: line.inventory,
        reserved: 0,
        occurred_at: now,
    };
    let events = [Event::from(created), Event::from(adjusted)];
    let folded = events.into_iter().zip(1..).fold(None, |document, (event, seq)| {
        Some(View::Products.fold(document, &envelope(event, seq)).unwrap())
    });
    folded.unwrap()
}

fn envelope(event: Event, seq: u64) -> Envelope {
    let subject = event.subject();
    Envelope {
        lane: Lane::of(subject.unwrap()),
        seq,
        event_id: clock::new_id(),
        subject,
        stream_id: event.stream_id(),
        stream_version: 1,
        epoch: Epoch(1),
        recorded_at: event.occurred_at(),
        meta: Meta::default(),
        event,
    }
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
