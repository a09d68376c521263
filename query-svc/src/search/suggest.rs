//! Suggestions as a shopper types: products by name, categories, brands, in one multi-search.
//!
//! The last word is searched as a prefix. If nothing matches, typing errors are allowed.

use chassis::elasticsearch::SearchAnswer;
use schemas::id::ProductId;
use schemas::lane::{Lane, Position, Seq};
use schemas::rest::query::{SuggestedCategory, SuggestedProduct, Suggestions};
use schemas::view::CategoryDocument;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::parameters::SuggestSearch;
use super::query::Query;
use super::text::Tolerance;
use super::words::{Words, can_be_mistyped};

const MAX_CATEGORIES: usize = 5;
const MAX_BRANDS: usize = 5;

/// The three bodies: of products, of categories, and of brands (over products).
#[derive(Debug, Clone, PartialEq)]
pub struct Bodies {
    pub products: Value,
    pub categories: Value,
    pub brands: Value,
}

/// The suggestions, and the positions of the documents that they show.
#[derive(Debug)]
pub struct ReadSuggestions {
    pub suggestions: Suggestions,
    pub products: Vec<Position>,
    pub categories: Vec<Position>,
}

#[derive(Debug, Deserialize)]
struct Named {
    product_id: ProductId,
    lane: Lane,
    seq: Seq,
    name: String,
}

pub fn bodies(search: &SuggestSearch, tolerance: Tolerance) -> Bodies {
    let words = Words::of(&search.text);
    let listed = Query::filter(vec![Query::is("listed", true), Query::is("removed", false)]);
    let (name, brand) = (["name.plain", "name"], ["brand.plain", "brand.text"]);
    let any_name = ["name.plain", "name", "brand.plain"];
    Bodies {
        products: json!({
            "size": search.limit,
            "track_total_hits": false,
            "_source": ["product_id", "lane", "seq", "name"],
            "query": { "bool": { "filter": listed, "must": typed(&words, &any_name, tolerance) } },
            "sort": [{ "_score": "desc" }, { "product_id": "asc" }],
        }),
        categories: json!({
            "size": MAX_CATEGORIES,
            "track_total_hits": false,
            "query": { "bool": {
                "filter": { "term": { "removed": false } },
                "must": typed(&words, &name, tolerance),
            } },
            "sort": [{ "_score": "desc" }, { "depth": "asc" }, { "category_id": "asc" }],
        }),
        brands: json!({
            "size": 0,
            "track_total_hits": false,
            "query": { "bool": { "filter": [listed, typed(&words, &brand, tolerance)] } },
            "aggs": { "brands": { "terms": { "field": "brand", "size": MAX_BRANDS } } },
        }),
    }
}

/// Every word in one of the fields; fields that end in `.plain` are not stemmed.
fn typed(words: &Words, fields: &[&str], tolerance: Tolerance) -> Query {
    if words.is_empty() {
        return Query::MatchNone {};
    }
    let clauses = words.iter().enumerate().map(|(index, word)| {
        let all_of = |field: &&str| Query::all_of(field, word, 2.0);
        let mut ways: Vec<Query> = fields.iter().map(all_of).collect();
        for field in fields.iter().filter(|field| field.ends_with(".plain")) {
            if words.is_last(index) {
                ways.push(Query::prefix(field, word, 1.0));
            }
            if tolerance > Tolerance::Exact && can_be_mistyped(word) {
                ways.push(Query::fuzzy(field, word, 0.5));
            }
        }
        Query::best_of(ways)
    });
    Query::must(clauses.collect())
}

/// Reads the answers to the three bodies.
pub fn read(
    products: &SearchAnswer,
    categories: &SearchAnswer,
    brands: &SearchAnswer,
) -> Result<ReadSuggestions, serde_json::Error> {
    let named: Vec<Named> = read_sources(products)?;
    let documents: Vec<CategoryDocument> = read_sources(categories)?;
    let at = |lane, seq| Position { lane, seq };
    Ok(ReadSuggestions {
        products: named.iter().map(|one| at(one.lane, one.seq)).collect(),
        categories: documents.iter().map(|one| at(one.lane, one.seq)).collect(),
        suggestions: Suggestions {
            products: named.into_iter().map(suggested_product).collect(),
            categories: documents.into_iter().map(suggested_category).collect(),
            brands: read_brands(brands),
        },
    })
}

fn read_sources<T: DeserializeOwned>(answer: &SearchAnswer) -> Result<Vec<T>, serde_json::Error> {
    let sources = answer
        .hits
        .hits
        .iter()
        .filter_map(|hit| hit.source.as_deref());
    sources
        .map(|source| serde_json::from_str(source.get()))
        .collect()
}

fn suggested_product(named: Named) -> SuggestedProduct {
    SuggestedProduct {
        id: named.product_id,
        name: named.name,
    }
}

fn suggested_category(document: CategoryDocument) -> SuggestedCategory {
    SuggestedCategory {
        id: document.category_id,
        name: document.name,
        path: document.path,
    }
}

fn read_brands(answer: &SearchAnswer) -> Vec<String> {
    let brands = answer.aggregations.get("brands");
    let buckets = brands.and_then(|brands| brands["buckets"].as_array());
    let names = buckets
        .into_iter()
        .flatten()
        .filter_map(|bucket| bucket["key"].as_str());
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products(text: &str, tolerance: Tolerance) -> String {
        let search = SuggestSearch {
            text: text.to_owned(),
            limit: 8,
        };
        bodies(&search, tolerance).products["query"].to_string()
    }

    #[test]
    fn only_the_last_word_is_a_prefix() {
        let query = products("otter bo", Tolerance::Exact);
        assert!(query.contains(
            r#"{"match_phrase_prefix":{"name.plain":{"boost":1.0,"query":"bo","slop":0}}}"#
        ));
        assert_eq!(query.matches("match_phrase_prefix").count(), 2);
    }

    #[test]
    fn typing_errors_are_allowed_on_the_second_try() {
        assert!(!products("batery", Tolerance::Exact).contains("fuzziness"));
        assert!(products("batery", Tolerance::Fuzzy).contains("fuzziness"));
    }

    #[test]
    fn nothing_typed_suggests_nothing() {
        assert!(products(" ", Tolerance::Exact).contains("match_none"));
    }
}
