//! The request body that searches the view `products`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::facets::{Counts, SplitFilters, aggregations};
use super::parameters::{ProductSearch, Sort};
use super::query::{Bool, Query};
use super::text::{FEW_HITS, Tolerance, marking, matching};
use super::words::Words;

/// With words, more hits are not counted exactly: counting would cost more than finding.
const COUNTED_HITS: u64 = 10_000;

/// Where a page starts, and in which point in time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start<'a> {
    /// Sort values of the last hit of the page before.
    pub after: Option<&'a [Value]>,
    /// The id of a point in time.
    pub point: Option<&'a str>,
}

/// A request body.
#[derive(Debug, Clone, Serialize)]
pub struct Body<'a> {
    /// One hit more than the page holds, which tells whether there is another page.
    size: usize,
    query: Query,
    sort: [Value; 2],
    track_total_hits: Counted,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<Highlight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_filter: Option<Query>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    aggs: BTreeMap<&'static str, Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_after: Option<&'a [Value]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pit: Option<PointInTime<'a>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Counted {
    UpTo(u64),
    All(bool),
}

/// Without `keep_alive`, so that a search does not extend the point's life.
#[derive(Debug, Clone, Copy, Serialize)]
struct PointInTime<'a> {
    id: &'a str,
}

#[derive(Debug, Clone, Serialize)]
struct Highlight {
    encoder: &'static str,
    pre_tags: [&'static str; 1],
    post_tags: [&'static str; 1],
    fields: BTreeMap<&'static str, HighlightField>,
}

#[derive(Debug, Clone, Serialize)]
struct HighlightField {
    number_of_fragments: u32,
    fragment_size: u32,
    highlight_query: Query,
}

impl Body<'_> {
    /// True if the body names a point in time: it is then sent without an index.
    pub fn names_a_point(&self) -> bool {
        self.pit.is_some()
    }
}

pub fn body<'a>(search: &ProductSearch, tolerance: Tolerance, start: Start<'a>) -> Body<'a> {
    let mut filters = SplitFilters::of(search);
    let words = search.text.as_deref().map(Words::of);
    let after = filters.after.values().cloned().collect();
    Body {
        size: search.limit + 1,
        sort: sort(search),
        track_total_hits: match words {
            Some(_) => Counted::UpTo(COUNTED_HITS),
            None => Counted::All(true),
        },
        highlight: words.as_ref().map(|words| highlight(words, tolerance)),
        post_filter: (!filters.after.is_empty()).then(|| Query::filter(after)),
        aggs: aggregations(search, &filters),
        query: query(
            search,
            words.as_ref(),
            std::mem::take(&mut filters.before),
            tolerance,
        ),
        search_after: start.after,
        pit: start.point.map(|id| PointInTime { id }),
    }
}

/// Counts a few of the hits that `body` would find, without reading them.
pub fn probe<'a>(search: &ProductSearch, tolerance: Tolerance, start: Start<'a>) -> Body<'a> {
    Body {
        size: 0,
        track_total_hits: Counted::UpTo(FEW_HITS),
        highlight: None,
        aggs: BTreeMap::new(),
        ..body(search, tolerance, start)
    }
}

fn query(
    search: &ProductSearch,
    words: Option<&Words>,
    filter: Vec<Query>,
    tolerance: Tolerance,
) -> Query {
    let mut query = Bool {
        filter,
        ..Bool::default()
    };
    if let (Some(text), Some(words)) = (&search.text, words) {
        let matching = matching(text, words, tolerance);
        query.must = vec![matching.must];
        query.should = matching.should;
    }
    Query::Bool(query)
}

/// Ends in the id, so that the order is total and a cursor can continue after any hit.
fn sort(search: &ProductSearch) -> [Value; 2] {
    let first = match search.sort {
        Sort::Relevance if search.text.is_some() => json!({ "_score": "desc" }),
        Sort::Relevance | Sort::Newest => json!({ "created_at": "desc" }),
        Sort::Price => json!({ "price.amount": "asc" }),
        Sort::PriceDescending => json!({ "price.amount": "desc" }),
        Sort::Rating => json!({ "avg_rating": { "order": "desc", "missing": -1 } }),
        Sort::Name => json!({ "name.sort": "asc" }),
    };
    [first, json!({ "product_id": "asc" })]
}

/// Marks the matching words, by simpler queries than the one that found them.
fn highlight(words: &Words, tolerance: Tolerance) -> Highlight {
    let field = |name, number_of_fragments| HighlightField {
        number_of_fragments,
        fragment_size: 150,
        highlight_query: marking(name, words, tolerance),
    };
    Highlight {
        encoder: "html",
        pre_tags: ["<em>"],
        post_tags: ["</em>"],
        fields: BTreeMap::from([
            ("name", field("name", 0)),
            ("description", field("description", 2)),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(query: &[(&str, &str)]) -> ProductSearch {
        let pairs: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        ProductSearch::parse(&pairs).unwrap()
    }

    fn first_page(query: &[(&str, &str)]) -> Value {
        let search = search(query);
        serde_json::to_value(body(&search, Tolerance::Exact, Start::default())).unwrap()
    }

    #[test]
    fn what_is_unlisted_or_removed_never_appears() {
        for query in [&[][..], &[("q", "lamp")]] {
            let filter = first_page(query)["query"]["bool"]["filter"].to_string();
            assert!(filter.contains(r#"{"listed":{"value":true}}"#), "{filter}");
            assert!(
                filter.contains(r#"{"removed":{"value":false}}"#),
                "{filter}"
            );
        }
    }

    #[test]
    fn every_order_ends_in_the_id() {
        for order in ["relevance", "price", "-price", "rating", "newest", "name"] {
            let sort = first_page(&[("q", "lamp"), ("sort", order)])["sort"].clone();
            assert_eq!(sort.as_array().unwrap().len(), 2);
            assert_eq!(sort[1], json!({ "product_id": "asc" }), "{order}");
        }
    }

    #[test]
    fn only_words_are_highlighted() {
        assert!(first_page(&[("q", "lamp")]).get("highlight").is_some());
        assert!(first_page(&[("brand", "Apple")]).get("highlight").is_none());
    }

    #[test]
    fn a_probe_counts_the_same_hits_and_asks_for_nothing_else() {
        let search = search(&[
            ("q", "red lamp"),
            ("facets", "brand,price"),
            ("brand", "Apple"),
        ]);
        let read = |body: Body<'_>| serde_json::to_value(body).unwrap();
        let page = read(body(&search, Tolerance::Fuzzy, Start::default()));
        let probe = read(probe(&search, Tolerance::Fuzzy, Start::default()));
        for same in ["query", "post_filter"] {
            assert!(page[same].is_object());
            assert_eq!(probe[same], page[same]);
        }
        assert_eq!(
            (&probe["size"], &probe["track_total_hits"]),
            (&json!(0), &json!(3))
        );
        for costly in ["aggs", "highlight"] {
            assert!(page[costly].is_object());
            assert!(probe.get(costly).is_none(), "{costly}");
        }
    }

    #[test]
    fn a_later_page_continues_after_the_last_hit_in_the_same_point_in_time() {
        let after = [json!(1.5), json!("id")];
        let start = Start {
            after: Some(&after),
            point: Some("pit"),
        };
        let body = serde_json::to_value(body(&search(&[]), Tolerance::Exact, start)).unwrap();
        assert_eq!(body["search_after"], json!([1.5, "id"]));
        // Without `keep_alive`: using the point does not extend its life.
        assert_eq!(body["pit"], json!({"id": "pit"}));
    }
}
