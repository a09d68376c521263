//! A page of products as clients get it, made from an answer of Elasticsearch.

use std::collections::BTreeMap;

use chassis::elasticsearch::{Hit, Total as Counted};
use schemas::lane::Position;
use schemas::rest::query::{FacetBucket, Relation, Total};
use schemas::view::{CategoryDocument, View};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::facets::{self, Names};
use super::paging::Page;
use super::parameters::ProductSearch;
use crate::present::PresentedProduct;

/// How many sort values a cursor holds. A point in time adds one of its own, which is meaningless
/// in another.
const SORT_VALUES: usize = 2;

/// A stored document that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("parse a hit")]
pub struct HitError(#[from] serde_json::Error);

/// A page, and the positions of the documents that it shows.
#[derive(Debug)]
pub struct ReadPage<'a> {
    pub body: PageBody<'a>,
    pub shown: Vec<(View, Position)>,
    /// Sort values of the last hit, if there is another page.
    pub last: Option<Vec<Value>>,
}

/// `schemas::rest::query::ProductPage` as it is sent.
#[derive(Debug, Serialize)]
pub struct PageBody<'a> {
    items: Vec<PresentedProduct<'a>>,
    total: Total,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facets: BTreeMap<String, Vec<FacetBucket>>,
    pub next_cursor: Option<String>,
}

/// Reads an answer to `products::body`, which has one hit more than the page if there is another
/// page.
pub fn read<'a>(search: &ProductSearch, page: &'a Page) -> Result<ReadPage<'a>, HitError> {
    let answer = &page.answer;
    let found = &answer.hits.hits;
    let hits = &found[..found.len().min(search.limit)];
    let last = hits.last().filter(|_| found.len() > hits.len());
    let last = last.map(|hit| hit.sort.iter().take(SORT_VALUES).cloned().collect());
    let items: Vec<PresentedProduct<'a>> = hits.iter().map(read_hit).collect::<Result<_, _>>()?;
    let products = items.iter().map(PresentedProduct::position);
    let categories = page
        .categories
        .iter()
        .map(|&CategoryDocument { lane, seq, .. }| Position { lane, seq });
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

fn read_hit(hit: &Hit) -> Result<PresentedProduct<'_>, HitError> {
    let source = hit.source.as_deref().map_or("null", RawValue::get);
    let mut item: PresentedProduct<'_> = serde_json::from_str(source)?;
    item.highlights = Some(&hit.highlight).filter(|marked| !marked.is_empty());
    Ok(item)
}

fn names(categories: &[CategoryDocument]) -> Names {
    let named = categories.iter();
    named
        .map(|category| (category.category_id.to_string(), category.name.clone()))
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
