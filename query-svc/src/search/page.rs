//! A page of products as clients get it, read once from what Elasticsearch answered.

use chassis::elasticsearch::{Hit, Total as Counted};
use schemas::lane::Position;
use schemas::rest::query::{ProductHit, ProductPage, Relation, Total};
use schemas::view::{CategoryDocument, ProductDocument, View};
use serde_json::Value;

use super::facets::{self, Names};
use super::paging::Page;
use super::parameters::ProductSearch;
use crate::present;

/// How many sort values make a cursor; a point in time adds one of its own, which is no use in
/// another.
const SORT_VALUES: usize = 2;

/// A document that is not what the view's mapping says.
#[derive(Debug, thiserror::Error)]
#[error("a hit cannot be read")]
pub struct HitError(#[from] serde_json::Error);

/// The page without its cursor, and what it shows.
#[derive(Debug)]
pub struct ReadPage {
    pub page: ProductPage,
    pub shown: Vec<(View, Position)>,
    /// Sort values of the last hit, where there are more.
    pub last: Option<Vec<Value>>,
}

/// Reads an answer to `products::body`, which has one hit more than the page where there are more.
pub fn read(search: &ProductSearch, page: &Page) -> Result<ReadPage, HitError> {
    let answer = &page.answer;
    let found = &answer.hits.hits;
    let hits = &found[..found.len().min(search.limit)];
    let last = hits.last().filter(|_| found.len() > hits.len());
    let last = last.map(|hit| hit.sort.iter().take(SORT_VALUES).cloned().collect());
    let mut items = Vec::with_capacity(hits.len());
    let mut shown = Vec::with_capacity(hits.len() + page.categories.len());
    for hit in hits {
        let (item, position) = read_hit(hit)?;
        items.push(item);
        shown.push((View::Products, position));
    }
    let mut names = Names::new();
    for CategoryDocument {
        category_id,
        lane,
        seq,
        name,
        ..
    } in &page.categories
    {
        names.insert(category_id.to_string(), name.clone());
        let (lane, seq) = (*lane, *seq);
        shown.push((View::Categories, Position { lane, seq }));
    }
    let page = ProductPage {
        items,
        total: total(answer.hits.total.as_ref()),
        facets: facets::read(search, &answer.aggregations, &names),
        next_cursor: None,
    };
    Ok(ReadPage { page, shown, last })
}

fn read_hit(hit: &Hit) -> Result<(ProductHit, Position), HitError> {
    let source = hit.source.as_deref().map_or("null", |source| source.get());
    let document: ProductDocument = serde_json::from_str(source)?;
    let position = Position {
        lane: document.lane,
        seq: document.seq,
    };
    let item = ProductHit {
        product: present::product(document),
        highlights: hit.highlight.clone(),
    };
    Ok((item, position))
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
