//! What the tests of views are given: a lane's log to append to, and a category tree beside it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Document, FoldError, Targets, View};
use crate::event::category::CategoryPath;
use crate::event::{
    CategoryCreated, CategoryMoved, CategoryRef, CategoryRenamed, Envelope, Event, Meta,
    PriceChanged, ProductCategorized, ProductCreated, StockAdjusted, StreamId,
};
use crate::id::{CategoryId, Epoch, ProductId};
use crate::lane::Lane;
use crate::money::Money;

pub const PRODUCT: ProductId = ProductId(Uuid::from_u128(0xa11ce));

pub fn category(number: u8) -> CategoryId {
    CategoryId(Uuid::from_u128(0xca7e_0000 + u128::from(number)))
}

/// A minute for each number, so that times tell events apart.
pub fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

pub fn euros(amount: i64) -> Money {
    Money::new(amount, "EUR").unwrap()
}

/// A path from `(number, name)` pairs, from the root down.
pub fn path(steps: &[(u8, &str)]) -> CategoryPath {
    let steps = steps.iter().map(|&(number, name)| CategoryRef {
        id: category(number),
        name: name.to_owned(),
    });
    steps.collect()
}

pub fn product_created(categories: Vec<CategoryPath>) -> ProductCreated {
    ProductCreated {
        product_id: PRODUCT,
        sku: "LAMP-1".to_owned(),
        name: "Lamp".to_owned(),
        description: "It shines.".to_owned(),
        brand: "Lumen".to_owned(),
        price: euros(1999),
        categories,
        attributes: BTreeMap::from([("colour".to_owned(), "red".to_owned())]),
        occurred_at: at(0),
    }
}

pub fn product_categorized(categories: Vec<CategoryPath>, minute: i64) -> ProductCategorized {
    ProductCategorized {
        product_id: PRODUCT,
        categories,
        occurred_at: at(minute),
    }
}

pub fn price_changed(amount: i64, minute: i64) -> PriceChanged {
    PriceChanged {
        product_id: PRODUCT,
        price: euros(amount),
        occurred_at: at(minute),
    }
}

pub fn stock_adjusted(on_hand: i64, reserved: i64, minute: i64) -> StockAdjusted {
    StockAdjusted {
        product_id: PRODUCT,
        delta: on_hand,
        reason: "counted".to_owned(),
        on_hand,
        reserved,
        occurred_at: at(minute),
    }
}

pub fn category_created(path: CategoryPath) -> CategoryCreated {
    let own = path.last().unwrap().clone();
    CategoryCreated {
        category_id: own.id,
        name: own.name,
        parent_id: path.iter().rev().nth(1).map(|parent| parent.id),
        path,
        occurred_at: at(0),
    }
}

pub fn renamed(number: u8, name: &str, minute: i64) -> CategoryRenamed {
    CategoryRenamed {
        category_id: category(number),
        name: name.to_owned(),
        occurred_at: at(minute),
    }
}

/// Moved to below the last of `ancestors`; to the root where there are none.
pub fn moved(number: u8, ancestors: CategoryPath, minute: i64) -> CategoryMoved {
    CategoryMoved {
        category_id: category(number),
        parent_id: ancestors.last().map(|parent| parent.id),
        ancestors,
        occurred_at: at(minute),
    }
}

/// The log of one lane, to which everything is appended that these tests speak of.
#[derive(Debug, Default)]
pub struct Log {
    pub envelopes: Vec<Envelope>,
    versions: HashMap<StreamId, u64>,
}

impl Log {
    pub fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut log = Self::default();
        for event in events {
            log.append(event);
        }
        log
    }

    pub fn append(&mut self, event: impl Into<Event>) -> &Envelope {
        let event = event.into();
        let version = self.versions.entry(event.stream_id()).or_default();
        *version += 1;
        let seq = self.envelopes.len() as u64 + 1;
        self.envelopes.push(Envelope {
            lane: Lane::of(PRODUCT),
            seq,
            event_id: Uuid::from_u128(seq.into()),
            subject: event.subject(),
            stream_id: event.stream_id(),
            stream_version: *version,
            epoch: Epoch(1),
            recorded_at: at(1_000) + TimeDelta::milliseconds(seq as i64),
            meta: Meta::default(),
            event,
        });
        self.envelopes.last().unwrap()
    }

    /// The document of this id after all events.
    pub fn fold(&self, view: View, id: impl Into<Uuid>) -> Result<Option<Document>, FoldError> {
        fold(view, id.into(), None, &self.envelopes)
    }
}

/// As a projector folds: a document's events by its id, broadcasts once there is a document.
pub fn fold(
    view: View,
    id: Uuid,
    document: Option<Document>,
    envelopes: &[Envelope],
) -> Result<Option<Document>, FoldError> {
    let mut document = document;
    for envelope in envelopes {
        let targeted = match view.targets(&envelope.event) {
            Targets::None => false,
            Targets::These(ids) => ids.contains(&id),
            Targets::Where { .. } => document.is_some(),
        };
        if targeted {
            document = Some(view.fold(document, envelope)?);
        }
    }
    Ok(document)
}
