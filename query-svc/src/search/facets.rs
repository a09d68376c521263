//! Facets: how many hits each choice would leave. A count respects all filters but its own facet's,
//! so that the other choices of a facet stay visible once one is taken.

use std::collections::BTreeMap;

use schemas::rest::query::FacetBucket;
use serde_json::{Map, Value, json};

use super::parameters::{Facet, Filters, ProductSearch};

/// The most choices that a facet names.
const MAX_BUCKETS: usize = 50;
/// Where prices part, in minor units; a choice reaches up to just below the next.
const PRICE_STEPS: [i64; 8] = [0, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];
/// "So many stars and up".
const STARS: [u8; 4] = [4, 3, 2, 1];

/// Names of categories by id.
pub type Names = BTreeMap<String, String>;

/// The filters of a search: those before counting, and for each facet with one, that after.
#[derive(Debug, Clone, PartialEq)]
pub struct Sieve {
    pub before: Vec<Value>,
    /// Filters of the facets that are counted.
    pub after: BTreeMap<Facet, Value>,
}

impl Sieve {
    pub fn of(search: &ProductSearch) -> Self {
        let filters = &search.filters;
        let mut sieve = Self {
            before: vec![
                json!({ "term": { "listed": true } }),
                json!({ "term": { "removed": false } }),
            ],
            after: BTreeMap::new(),
        };
        for (name, values) in &filters.attributes {
            sieve
                .before
                .push(any_of(&format!("attributes.{name}"), values));
        }
        for (facet, filter) in facet_filters(filters) {
            if search.facets.contains(&facet) {
                sieve.after.insert(facet, filter);
            } else {
                sieve.before.push(filter);
            }
        }
        sieve
    }

    fn without(&self, facet: Facet) -> Vec<&Value> {
        let others = self.after.iter().filter(|(other, _)| **other != facet);
        others.map(|(_, filter)| filter).collect()
    }
}

fn facet_filters(filters: &Filters) -> Vec<(Facet, Value)> {
    let mut found = Vec::new();
    if !filters.categories.is_empty() {
        found.push((Facet::Category, any_of("category_ids", &filters.categories)));
    }
    if !filters.brands.is_empty() {
        found.push((Facet::Brand, any_of("brand", &filters.brands)));
    }
    let mut price = Map::new();
    price.extend(filters.min_price.map(|min| ("gte".to_owned(), min.into())));
    price.extend(filters.max_price.map(|max| ("lte".to_owned(), max.into())));
    if !price.is_empty() {
        found.push((Facet::Price, json!({ "range": { "price.amount": price } })));
    }
    if let Some(stars) = filters.min_rating.filter(|stars| *stars > 0.0) {
        let filter = json!({ "range": { "avg_rating": { "gte": stars } } });
        found.push((Facet::Rating, filter));
    }
    if let Some(in_stock) = filters.in_stock {
        found.push((Facet::InStock, json!({ "term": { "in_stock": in_stock } })));
    }
    found
}

fn any_of(field: &str, values: &impl serde::Serialize) -> Value {
    json!({ "terms": { field: values } })
}

/// The aggregations that count the facets asked for, by facet name.
pub fn aggregations(search: &ProductSearch, sieve: &Sieve) -> Map<String, Value> {
    let counted = search.facets.iter().map(|&facet| {
        let filter = json!({ "bool": { "filter": sieve.without(facet) } });
        let counts = json!({ "filter": filter, "aggs": { "choices": choices(facet) } });
        (facet.name().to_owned(), counts)
    });
    counted.collect()
}

fn choices(facet: Facet) -> Value {
    match facet {
        Facet::Category => json!({ "terms": { "field": "category_ids", "size": MAX_BUCKETS } }),
        Facet::Brand => json!({ "terms": { "field": "brand", "size": MAX_BUCKETS } }),
        Facet::InStock => json!({ "terms": { "field": "in_stock" } }),
        Facet::Price => json!({ "range": { "field": "price.amount", "ranges": price_ranges() } }),
        Facet::Rating => json!({ "range": { "field": "avg_rating", "ranges": STARS.map(|stars| {
            json!({ "key": stars.to_string(), "from": stars })
        }) } }),
    }
}

fn price_ranges() -> Vec<Value> {
    let ends = PRICE_STEPS.iter().skip(1).map(Some).chain([None]);
    let steps = PRICE_STEPS.iter().zip(ends);
    steps
        .map(|(from, to)| match to {
            Some(to) => json!({ "key": format!("{from}-{}", to - 1), "from": from, "to": to }),
            None => json!({ "key": format!("{from}-"), "from": from }),
        })
        .collect()
}

/// The categories that were counted, whose names the reader has to know.
pub fn counted_categories(aggregations: &BTreeMap<String, Value>) -> Vec<String> {
    let buckets = buckets(aggregations, Facet::Category);
    let ids = buckets.filter_map(|bucket| bucket["key"].as_str());
    ids.map(str::to_owned).collect()
}

/// Reads the counts back. Choices without a hit are left out.
pub fn read(
    search: &ProductSearch,
    aggregations: &BTreeMap<String, Value>,
    categories: &Names,
) -> BTreeMap<String, Vec<FacetBucket>> {
    let facets = search.facets.iter().map(|&facet| {
        let buckets = buckets(aggregations, facet);
        let read = buckets.filter_map(|bucket| read_bucket(facet, bucket, categories));
        let mut choices: Vec<FacetBucket> = read.collect();
        if facet == Facet::Rating {
            // Ranges come in ascending order; shoppers look for the best first.
            choices.reverse();
        }
        (facet.name().to_owned(), choices)
    });
    facets.collect()
}

fn buckets(aggregations: &BTreeMap<String, Value>, facet: Facet) -> impl Iterator<Item = &Value> {
    let counts = aggregations.get(facet.name());
    let buckets = counts.and_then(|counts| counts["choices"]["buckets"].as_array());
    buckets.into_iter().flatten()
}

fn read_bucket(facet: Facet, bucket: &Value, categories: &Names) -> Option<FacetBucket> {
    let count = bucket["doc_count"].as_u64().filter(|count| *count > 0)?;
    // Booleans have a number as key and their name beside it.
    let key = bucket["key_as_string"].as_str();
    let value = key.or_else(|| bucket["key"].as_str())?.to_owned();
    if value.is_empty() {
        return None;
    }
    let label = match facet {
        Facet::Category => categories.get(&value).unwrap_or(&value).clone(),
        Facet::Rating => format!("{value} and up"),
        Facet::InStock if value == "true" => "in stock".to_owned(),
        Facet::InStock => "out of stock".to_owned(),
        Facet::Brand | Facet::Price => value.clone(),
    };
    Some(FacetBucket {
        value,
        label,
        count,
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

    #[test]
    fn a_facet_counts_under_all_filters_but_its_own() {
        let search = search(&[
            ("brand", "Apple"),
            ("in_stock", "true"),
            ("max_price", "5000"),
            ("facets", "brand,in_stock"),
        ]);
        let sieve = Sieve::of(&search);
        assert_eq!(sieve.after.len(), 2);
        assert_eq!(sieve.before.len(), 3, "listed, removed and the price");
        let counts = aggregations(&search, &sieve);
        let filter = |facet: &str| counts[facet]["filter"].to_string();
        assert!(!filter("brand").contains("Apple") && filter("brand").contains("in_stock"));
        assert!(filter("in_stock").contains("Apple"));
    }

    #[test]
    fn without_facets_every_filter_comes_first() {
        let sieve = Sieve::of(&search(&[("brand", "Apple"), ("attr.color", "red")]));
        assert!(sieve.after.is_empty());
        assert_eq!(sieve.before.len(), 4);
    }

    #[test]
    fn a_price_choice_ends_where_the_next_begins() {
        let ranges = price_ranges();
        assert_eq!(ranges[1]["key"], "1000-2499");
        assert_eq!(ranges[1]["to"], ranges[2]["from"]);
        assert_eq!(ranges.last().unwrap()["key"], "100000-");
    }

    #[test]
    fn choices_read_with_their_labels() {
        let search = search(&[("facets", "category,in_stock,rating")]);
        let answer = json!({
            "category": { "choices": { "buckets": [{ "key": "c2", "doc_count": 3 }] } },
            "in_stock": { "choices": { "buckets": [
                { "key": 1, "key_as_string": "true", "doc_count": 2 },
            ] } },
            "rating": { "choices": { "buckets": [
                { "key": "4", "doc_count": 0 }, { "key": "3", "doc_count": 5 },
            ] } },
        });
        let answer = serde_json::from_value(answer).unwrap();
        assert_eq!(counted_categories(&answer), ["c2"]);
        let names = Names::from([("c2".to_owned(), "Lamps".to_owned())]);
        let facets = read(&search, &answer, &names);
        let labels = |facet: &str| -> Vec<String> {
            let buckets = facets[facet].iter();
            buckets
                .map(|bucket| format!("{}={}:{}", bucket.value, bucket.label, bucket.count))
                .collect()
        };
        assert_eq!(labels("category"), ["c2=Lamps:3"]);
        assert_eq!(labels("in_stock"), ["true=in stock:2"]);
        assert_eq!(labels("rating"), ["3=3 and up:5"]);
    }
}
