//! A lane's documents beside its events: equal, different, missing, behind, from nowhere.

use std::collections::BTreeMap;

use chrono::DateTime;
use schemas::{
    event::{Event, Meta, PriceChanged, ProductCreated},
    id::{Epoch, ProductId},
    money::Money,
};

use super::*;

const PRODUCT: ProductId = ProductId(Uuid::from_u128(7));

fn log() -> Vec<Envelope> {
    let price = |amount| Money::new(amount, "EUR").unwrap();
    let created = ProductCreated {
        product_id: PRODUCT,
        sku: "LAMP-1".to_owned(),
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: String::new(),
        price: price(1999),
        categories: Vec::new(),
        attributes: BTreeMap::new(),
        occurred_at: DateTime::UNIX_EPOCH,
    };
    let changed = |amount| PriceChanged {
        product_id: PRODUCT,
        price: price(amount),
        occurred_at: DateTime::UNIX_EPOCH,
    };
    let events: [Event; 3] = [created.into(), changed(2000).into(), changed(2500).into()];
    let envelopes = events.into_iter().zip(1..).map(|(event, seq)| Envelope {
        lane: Lane::of(PRODUCT),
        seq,
        event_id: Uuid::from_u128(seq.into()),
        subject: event.subject(),
        stream_id: event.stream_id(),
        stream_version: seq,
        epoch: Epoch(1),
        recorded_at: DateTime::UNIX_EPOCH,
        meta: Meta::default(),
        event,
    });
    envelopes.collect()
}

fn folded(events: &[Envelope]) -> Document {
    let fold = |document, envelope| Some(View::Products.fold(document, envelope).unwrap());
    events.iter().fold(None, fold).unwrap()
}

fn found(document: Document) -> HashMap<Uuid, Document> {
    HashMap::from([(PRODUCT.0, document)])
}

/// What is told where so much is said to be visible and this is stored.
fn told(visible: Seq, stored: HashMap<Uuid, Document>) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |difference: Difference| told.push(difference.what);
    let mut check = LaneCheck::new(View::Products, Lane::of(PRODUCT), visible, stored);
    for envelope in log() {
        check.take(&envelope, &mut tell);
    }
    check.finish(&mut tell);
    told
}

#[test]
fn a_document_is_compared_at_the_version_at_which_it_was_found() {
    let log = log();
    for version in 1..=3 {
        let document = folded(&log[..version]);
        assert_eq!(told(1, found(document)), [""; 0]);
    }
}

#[test]
fn a_member_that_differs_is_named() {
    let mut document = folded(&log()[..2]);
    if let Document::Products(product) = &mut document {
        product.name = "Lamb".to_owned();
    }
    assert_eq!(told(2, found(document)), ["differs at version 2 in name"]);
}

#[test]
fn a_document_that_is_behind_what_is_visible_is_told() {
    let document = folded(&log()[..1]);
    let expected = ["is at version 1, though event 3 is visible"];
    assert_eq!(told(3, found(document)), expected);
}

#[test]
fn a_document_is_missing_only_where_it_should_be_visible() {
    assert_eq!(told(0, HashMap::new()), [""; 0]);
    let expected = ["is missing, though event 2 is visible"];
    assert_eq!(told(2, HashMap::new()), expected);
}

#[test]
fn a_document_at_a_version_that_nothing_gives_it_is_told() {
    let mut document = folded(&log());
    if let Document::Products(product) = &mut document {
        product.seq = 9;
    }
    let expected = ["is at version 9, which no event gives it"];
    assert_eq!(told(3, found(document)), expected);
}
