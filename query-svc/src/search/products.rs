//! The request body that searches the view `products`.

use serde_json::{Map, Value, json};

use super::facets::{Sieve, aggregations};
use super::parameters::{ProductSearch, Sort};
use super::text::{Tolerance, marking, matching};
use super::words::Words;

/// With words, hits beyond are "at least so many": counting on would cost more than finding.
const COUNTED_HITS: u64 = 10_000;
/// How long a point in time outlives its last use.
pub const KEEP_ALIVE: &str = "60s";

/// Where a page begins, and in which state of the index.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start<'a> {
    /// Sort values of the last hit before it.
    pub after: Option<&'a [Value]>,
    /// Id of a point in time.
    pub point: Option<&'a str>,
}

/// One hit more than a page takes, which says whether there is another page.
pub fn body(search: &ProductSearch, tolerance: Tolerance, start: Start<'_>) -> Value {
    let sieve = Sieve::of(search);
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("size", (search.limit + 1).into());
    put("query", query(search, &sieve, tolerance));
    put("sort", sort(search));
    if let Some(text) = &search.text {
        put("track_total_hits", COUNTED_HITS.into());
        put("highlight", highlight(text, tolerance));
    } else {
        put("track_total_hits", true.into());
    }
    if !sieve.after.is_empty() {
        let filters: Vec<&Value> = sieve.after.values().collect();
        put("post_filter", json!({ "bool": { "filter": filters } }));
    }
    if !search.facets.is_empty() {
        put("aggs", aggregations(search, &sieve).into());
    }
    if let Some(after) = start.after {
        put("search_after", after.into());
    }
    if let Some(id) = start.point {
        put("pit", json!({ "id": id, "keep_alive": KEEP_ALIVE }));
    }
    body.into()
}

fn query(search: &ProductSearch, sieve: &Sieve, tolerance: Tolerance) -> Value {
    let mut query = json!({ "filter": sieve.before });
    if let Some(text) = &search.text {
        let matching = matching(text, &Words::of(text), tolerance);
        query["must"] = matching.must;
        query["should"] = matching.should.into();
    }
    json!({ "bool": query })
}

/// Ends in the id, so that the order is total and a cursor can go on from any hit.
fn sort(search: &ProductSearch) -> Value {
    let first = match search.sort {
        Sort::Relevance if search.text.is_some() => json!({ "_score": "desc" }),
        Sort::Relevance | Sort::Newest => json!({ "created_at": "desc" }),
        Sort::Price => json!({ "price.amount": "asc" }),
        Sort::PriceDescending => json!({ "price.amount": "desc" }),
        Sort::Rating => json!({ "avg_rating": { "order": "desc", "missing": -1 } }),
        Sort::Name => json!({ "name.sort": "asc" }),
    };
    json!([first, { "product_id": "asc" }])
}

/// Marks the words as they were found, by a query much plainer than the one that found them.
fn highlight(text: &str, tolerance: Tolerance) -> Value {
    let words = Words::of(text);
    let mut fields = Map::new();
    for (field, options) in [
        ("name", json!({ "number_of_fragments": 0 })),
        (
            "description",
            json!({ "number_of_fragments": 2, "fragment_size": 150 }),
        ),
    ] {
        let mut options = options;
        options["highlight_query"] = marking(field, &words, tolerance);
        fields.insert(field.to_owned(), options);
    }
    json!({
        "encoder": "html",
        "pre_tags": ["<em>"],
        "post_tags": ["</em>"],
        "fields": fields,
    })
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
        body(&search(query), Tolerance::Exact, Start::default())
    }

    #[test]
    fn what_is_unlisted_or_removed_never_appears() {
        for query in [&[][..], &[("q", "lamp")]] {
            let filter = first_page(query)["query"]["bool"]["filter"].to_string();
            assert!(filter.contains(r#"{"listed":true}"#), "{filter}");
            assert!(filter.contains(r#"{"removed":false}"#), "{filter}");
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
    fn a_later_page_goes_on_after_the_last_hit_in_the_same_point_in_time() {
        let after = [json!(1.5), json!("id")];
        let start = Start {
            after: Some(&after),
            point: Some("pit"),
        };
        let body = body(&search(&[]), Tolerance::Exact, start);
        assert_eq!(body["search_after"], json!([1.5, "id"]));
        assert_eq!(body["pit"]["id"], "pit");
    }
}
