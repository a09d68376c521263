//! A page of products as clients get it, made of what Elasticsearch answered.
//!
//! A stored product has the members that clients get, so they are passed on as they stand: only
//! lane and seq are read. That saves most of what a search would cost here.

use std::collections::BTreeMap;

use chassis::elasticsearch::{Hit, Total as Counted};
use schemas::lane::{Lane, Position, Seq};
use schemas::rest::query::{FacetBucket, Relation, Total};
use schemas::view::{CategoryDocument, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::facets::{self, Names};
use super::paging::Page;
use super::parameters::ProductSearch;

/// How many sort values make a cursor; a point in time adds one of its own, which is no use in
/// another.
const SORT_VALUES: usize = 2;

/// A document that is not what the view's mapping says.
#[derive(Debug, thiserror::Error)]
#[error("a hit cannot be read")]
pub struct HitError(#[from] serde_json::Error);

/// A page and what it shows.
#[derive(Debug)]
pub struct ReadPage<'a> {
    pub body: PageBody<'a>,
    pub shown: Vec<(View, Position)>,
    /// Sort values of the last hit, where there are more.
    pub last: Option<Vec<Value>>,
}

/// `schemas::rest::query::ProductPage` as it is sent.
#[derive(Debug, Serialize)]
pub struct PageBody<'a> {
    items: Vec<Item<'a>>,
    total: Total,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facets: BTreeMap<String, Vec<FacetBucket>>,
    pub next_cursor: Option<String>,
}

/// A stored product as it is read, and `schemas::rest::query::ProductHit` as it is sent.
#[derive(Debug, Deserialize, Serialize)]
struct Item<'a> {
    #[serde(skip_serializing)]
    lane: Lane,
    #[serde(skip_serializing)]
    seq: Seq,
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
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    highlights: Option<&'a BTreeMap<String, Vec<String>>>,
}

/// Reads an answer to `products::body`, which has one hit more than the page where there are more.
pub fn read<'a>(search: &ProductSearch, page: &'a Page) -> Result<ReadPage<'a>, HitError> {
    let answer = &page.answer;
    let found = &answer.hits.hits;
    let hits = &found[..found.len().min(search.limit)];
    let last = hits.last().filter(|_| found.len() > hits.len());
    let last = last.map(|hit| hit.sort.iter().take(SORT_VALUES).cloned().collect());
    let items: Vec<Item<'a>> = hits.iter().map(read_hit).collect::<Result<_, _>>()?;
    let at = |lane, seq| Position { lane, seq };
    let products = items.iter().map(|item| at(item.lane, item.seq));
    let categories = page.categories.iter().map(|one| at(one.lane, one.seq));
    let shown = products.map(|position| (View::Products, position));
    let shown = shown.chain(categories.map(|position| (View::Categories, position)));
    Ok(ReadPage {
        shown: shown.collect(),
        last,
        body: PageBody {
            items,
            total: total(answer.hits.total.as_ref()),
            facets: facets::read(search, &answer.aggregations, &names(&page.categories)),
            next_cursor: None,
        },
    })
}

fn read_hit(hit: &Hit) -> Result<Item<'_>, HitError> {
    let source = hit.source.as_deref().map_or("null", RawValue::get);
    let mut item: Item<'_> = serde_json::from_str(source)?;
    item.highlights = Some(&hit.highlight).filter(|marked| !marked.is_empty());
    Ok(item)
}

fn names(categories: &[CategoryDocument]) -> Names {
    let named = categories.iter();
    named
        .map(|one| (one.category_id.to_string(), one.name.clone()))
        .collect()
}

fn total(counted: Option<&Counted>) -> Total {
    Total {
        value: counted.map_or(0, |total| total.value),
        relation: match counted {
            Some(total) if total.relation != "eq" => Relation::Gte,
            _ => Relation::Eq,
        },
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::{CategoryRef, Envelope, Event, Meta, ProductCreated};
    use schemas::id::{CategoryId, Epoch, ProductId};
    use schemas::money::Money;
    use schemas::view::{Document, ProductDocument};
    use serde_json::{from_value, json, to_value};
    use uuid::Uuid;

    use super::*;
    use crate::present;

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

    #[test]
    fn a_hit_is_sent_as_its_product_page_is() {
        let hit: Hit = from_value(json!({
            "_index": "i", "_id": "1", "_source": document(),
            "highlight": { "name": ["<em>Lampe</em>"] },
        }))
        .unwrap();
        let item = read_hit(&hit).unwrap();
        assert_eq!(item.seq, 7);
        let mut expected = to_value(present::product(document())).unwrap();
        expected["highlights"] = json!({ "name": ["<em>Lampe</em>"] });
        assert_eq!(to_value(&item).unwrap(), expected);
    }
}
