//! Events of one product and its category, for tests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::event::{
    CategoryRef, CategoryRenamed, Envelope, Event, Meta, PriceChanged, ProductCategorized,
    ProductCreated, StreamId, StreamKind,
};
use schemas::id::{CategoryId, Epoch, ProductId};
use schemas::lane::{Lane, Seq};
use schemas::money::Money;
use uuid::Uuid;

use super::{Content, LogEntry};

pub(crate) const LAMP: Uuid = Uuid::from_u128(7);
pub(crate) const LIGHTS: Uuid = Uuid::from_u128(70);

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn entry(product: Uuid, seq: Seq, kind: StreamKind, event: impl Into<Event>) -> LogEntry {
    let event = event.into();
    let envelope = Envelope {
        lane: Lane::of(LAMP),
        seq,
        event_id: Uuid::from_u128(u128::from(seq)),
        subject: event.subject(),
        stream_id: StreamId::new(kind, product),
        stream_version: seq,
        epoch: Epoch(1),
        recorded_at: at(),
        meta: Meta::default(),
        event,
    };
    LogEntry {
        position: envelope.position(),
        event_id: envelope.event_id,
        bytes: 0,
        content: Content::Event(Arc::new(envelope)),
    }
}

pub(crate) fn created(seq: Seq) -> LogEntry {
    created_of(LAMP, seq)
}

pub(crate) fn created_of(product: Uuid, seq: Seq) -> LogEntry {
    let lights = CategoryRef {
        id: CategoryId(LIGHTS),
        name: "Lights".to_owned(),
    };
    let event = ProductCreated {
        product_id: ProductId(product),
        sku: "L-1".to_owned(),
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(100, "EUR").unwrap(),
        categories: vec![vec![lights]],
        attributes: std::collections::BTreeMap::new(),
        occurred_at: at(),
    };
    entry(product, seq, StreamKind::Product, event)
}

/// Into the category, or out of all.
pub(crate) fn categorized(seq: Seq, is_in: bool) -> LogEntry {
    categorized_of(LAMP, seq, is_in)
}

pub(crate) fn categorized_of(product: Uuid, seq: Seq, is_in: bool) -> LogEntry {
    let lights = CategoryRef {
        id: CategoryId(LIGHTS),
        name: "Lights".to_owned(),
    };
    let event = ProductCategorized {
        product_id: ProductId(product),
        categories: is_in.then(|| vec![lights]).into_iter().collect(),
        occurred_at: at(),
    };
    entry(product, seq, StreamKind::Product, event)
}

pub(crate) fn price(seq: Seq, amount: i64) -> LogEntry {
    price_of(LAMP, seq, amount)
}

pub(crate) fn price_of(product: Uuid, seq: Seq, amount: i64) -> LogEntry {
    let event = PriceChanged {
        product_id: ProductId(product),
        price: Money::new(amount, "EUR").unwrap(),
        occurred_at: at(),
    };
    entry(product, seq, StreamKind::Product, event)
}

pub(crate) fn renamed(seq: Seq, name: &str) -> LogEntry {
    let event = CategoryRenamed {
        category_id: CategoryId(LIGHTS),
        name: name.to_owned(),
        occurred_at: at(),
    };
    entry(LIGHTS, seq, StreamKind::Category, event)
}

/// The same as an event of one subject, which still concerns all documents of the category.
pub(crate) fn renamed_by(subject: Uuid, seq: Seq, name: &str) -> LogEntry {
    let mut entry = renamed(seq, name);
    if let Content::Event(envelope) = &mut entry.content {
        Arc::make_mut(envelope).subject = Some(subject);
    }
    entry
}
