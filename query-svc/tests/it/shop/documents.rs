//! Documents as the fold makes them; the shop gives them their seq.

use std::collections::BTreeMap;

use chassis::clock;
use schemas::event::{
    CategoryCreated, CategoryRef, Envelope, Event, Meta, ProductCreated, StockAdjusted,
};
use schemas::id::{CategoryId, Epoch, ProductId};
use schemas::lane::{Lane, Seq};
use schemas::money::Money;
use schemas::view::{CategoryDocument, Document, ProductDocument, View};

/// A listed product without category or brand, with two units in stock.
pub fn product(name: &str) -> ProductDocument {
    let created = ProductCreated {
        product_id: ProductId(clock::new_id()),
        sku: format!("SKU-{}", clock::new_id()),
        name: name.to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(1_999, "EUR").unwrap(),
        categories: Vec::new(),
        attributes: BTreeMap::new(),
        occurred_at: clock::now(),
    };
    created_product(created, 2)
}

/// A product as its creation says, with so many units in stock.
pub fn created_product(created: ProductCreated, on_hand: i64) -> ProductDocument {
    let stock = StockAdjusted {
        product_id: created.product_id,
        delta: on_hand,
        reason: "initial".to_owned(),
        on_hand,
        reserved: 0,
        occurred_at: created.occurred_at,
    };
    let document = folded(View::Products, [created.into(), stock.into()]);
    let Document::Products(product) = document else {
        unreachable!("products fold to products")
    };
    *product
}

/// A category below another, or a root.
pub fn category(name: &str, parent: Option<&CategoryDocument>) -> CategoryDocument {
    let id = CategoryId(clock::new_id());
    let mut path = parent.map(|parent| parent.path.clone()).unwrap_or_default();
    path.push(CategoryRef {
        id,
        name: name.to_owned(),
    });
    let created = CategoryCreated {
        category_id: id,
        name: name.to_owned(),
        parent_id: parent.map(|parent| parent.category_id),
        path,
        occurred_at: clock::now(),
    };
    let Document::Categories(category) = folded(View::Categories, [created.into()]) else {
        unreachable!("categories fold to categories")
    };
    *category
}

fn folded(view: View, events: impl IntoIterator<Item = Event>) -> Document {
    let mut document = None;
    for (event, seq) in events.into_iter().zip(1..) {
        document = Some(view.fold(document, &envelope(event, seq)).unwrap());
    }
    document.unwrap()
}

fn envelope(event: Event, seq: Seq) -> Envelope {
    let subject = event.subject().unwrap();
    Envelope {
        lane: Lane::of(subject),
        seq,
        event_id: clock::new_id(),
        subject: Some(subject),
        stream_id: event.stream_id(),
        stream_version: 1,
        epoch: Epoch(1),
        recorded_at: clock::now(),
        meta: Meta::default(),
        event,
    }
}
