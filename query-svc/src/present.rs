//! Products as clients get them, on their page and in lists.
//!
//! A stored product has the members that clients get. They are copied without being parsed, which is
//! most of the work that a search would cause here.

use std::collections::BTreeMap;

use schemas::lane::{Lane, Position, Seq};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A stored product as it is read; `schemas::rest::query::Product` and `ProductHit` as it is sent.
#[derive(Debug, Deserialize, Serialize)]
pub struct PresentedProduct<'a> {
    #[serde(skip_serializing)]
    pub lane: Lane,
    #[serde(skip_serializing)]
    pub seq: Seq,
    #[serde(skip_serializing)]
    pub stream_version: u64,
    #[serde(skip_serializing)]
    pub removed: bool,
    #[serde(borrow, rename(serialize = "id"))]
    product_id: &'a RawValue,
    #[serde(borrow)]
    sku: &'a RawValue,
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    description: &'a RawValue,
    #[serde(borrow)]
    brand: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    categories: &'a RawValue,
    #[serde(borrow)]
    attributes: &'a RawValue,
    listed: bool,
    available: i64,
    in_stock: bool,
    #[serde(borrow)]
    avg_rating: &'a RawValue,
    num_reviews: u32,
    rating_histogram: [u32; 5],
    #[serde(borrow)]
    created_at: &'a RawValue,
    #[serde(borrow)]
    updated_at: &'a RawValue,
    /// Of a hit, with the words that matched.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub highlights: Option<&'a BTreeMap<String, Vec<String>>>,
}

impl PresentedProduct<'_> {
    pub fn position(&self) -> Position {
        Position {
            lane: self.lane,
            seq: self.seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::{CategoryRef, Envelope, Event, Meta, ProductCreated};
    use schemas::id::{CategoryId, Epoch, ProductId};
    use schemas::money::Money;
    use schemas::rest::command::MoneyBody;
    use schemas::rest::query::{Product, ProductCategory, ProductHit};
    use schemas::view::products::CategoryOfProduct;
    use schemas::view::{Document, ProductDocument, View};
    use serde_json::{to_string, to_value};
    use uuid::Uuid;

    use super::*;

    fn document() -> ProductDocument {
        let created = ProductCreated {
            product_id: ProductId(Uuid::from_u128(1)),
            sku: "A-1".to_owned(),
            name: "Lampe \"Nüsse\" \u{7}".to_owned(),
            description: "line\nbreak".to_owned(),
            brand: "Ümlaut & Söhne".to_owned(),
            price: Money::new(1_999, "EUR").unwrap(),
            categories: vec![vec![CategoryRef {
                id: CategoryId(Uuid::from_u128(2)),
                name: "Lights".to_owned(),
            }]],
            attributes: BTreeMap::from([("color".to_owned(), "red".to_owned())]),
            occurred_at: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
        };
        let event = Event::from(created);
        let envelope = Envelope {
            lane: Lane::of(Uuid::from_u128(1)),
            seq: 7,
            event_id: Uuid::from_u128(3),
            subject: event.subject(),
            stream_id: event.stream_id(),
            stream_version: 1,
            epoch: Epoch(1),
            recorded_at: event.occurred_at(),
            meta: Meta::default(),
            event,
        };
        let document = View::Products.fold(None, &envelope).unwrap();
        let Document::Products(mut document) = document else {
            unreachable!("products fold to products")
        };
        document.avg_rating = Some(4.25);
        *document
    }

    fn body(document: ProductDocument) -> Product {
        Product {
            id: document.product_id,
            sku: document.sku,
            name: document.name,
            description: document.description,
            brand: document.brand,
            price: MoneyBody {
                amount: document.price.amount,
                currency: document.price.currency.code().to_owned(),
            },
            categories: document.categories.into_iter().map(category).collect(),
            attributes: document.attributes,
            listed: document.listed,
            available: document.available,
            in_stock: document.in_stock,
            avg_rating: document.avg_rating,
            num_reviews: document.num_reviews,
            rating_histogram: document.rating_histogram,
            created_at: document.created_at,
            updated_at: document.updated_at,
        }
    }

    fn category(category: CategoryOfProduct) -> ProductCategory {
        ProductCategory {
            id: category.id,
            name: category.name,
            path: category.path,
        }
    }

    #[test]
    fn a_stored_product_is_sent_as_the_rest_bodies_say() {
        let stored = to_string(&document()).unwrap();
        let mut presented: PresentedProduct<'_> = serde_json::from_str(&stored).unwrap();
        assert_eq!(
            presented.position(),
            Position {
                lane: document().lane,
                seq: 7
            }
        );
        assert_eq!((presented.stream_version, presented.removed), (1, false));
        let product = body(document());
        assert_eq!(to_value(&presented).unwrap(), to_value(&product).unwrap());

        let mark = vec!["<em>Lampe</em>".to_owned()];
        let highlights = BTreeMap::from([("name".to_owned(), mark)]);
        presented.highlights = Some(&highlights);
        let hit = ProductHit {
            product,
            highlights: highlights.clone(),
        };
        assert_eq!(to_value(&presented).unwrap(), to_value(&hit).unwrap());
    }
}
