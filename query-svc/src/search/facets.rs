//! Facets: how many hits each choice would leave. A count respects all filters except its own
//! facet's, so that the other choices of a facet stay visible when one is selected.

use std::collections::BTreeMap;

use schemas::id::CategoryId;
use schemas::rest::query::FacetBucket;
use serde::Serialize;
use serde_json::{Value, json};

use super::parameters::{Facet, Filters, ProductSearch};
use super::query::{On, Query, Range};

/// The most choices that a facet lists.
const MAX_BUCKETS: usize = 50;
/// Lower bounds of the price ranges, in minor units; each range ends just below the next.
const PRICE_STEPS: [i64; 8] = [0, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];
/// Lower bounds of the rating ranges: "4 and up".
const STARS: [u8; 4] = [4, 3, 2, 1];

/// Names of categories by id.
pub type Names = BTreeMap<String, String>;

/// The filters of a search, split into those applied before counting and those applied after.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitFilters {
    pub before: Vec<Query>,
    /// The filters of facets that are counted.
    pub after: BTreeMap<Facet, Query>,
}

/// The count of one facet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counts {
    filter: Query,
    aggs: Choices,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Choices {
    choices: Value,
}

impl SplitFilters {
    pub fn of(search: &ProductSearch) -> Self {
        let filters = &search.filters;
        let mut split = Self {
            before: vec![Query::is("listed", true), Query::is("removed", false)],
            after: BTreeMap::new(),
        };
        for (name, values) in &filters.attributes {
            let fields = ["attributes", "attribute_keys"].map(|field| format!("{field}.{name}"));
            let fields = [fields[0].as_str(), fields[1].as_str()];
            split.before.push(any_form(fields, values));
        }
        for (facet, filter) in facet_filters(filters) {
            if search.facets.contains(&facet) {
                split.after.insert(facet, filter);
            } else {
                split.before.push(filter);
            }
        }
        split
    }

    fn without(&self, facet: Facet) -> Query {
        let others = self.after.iter().filter(|(other, _)| **other != facet);
        Query::filter(others.map(|(_, filter)| filter.clone()).collect())
    }
}

fn facet_filters(filters: &Filters) -> Vec<(Facet, Query)> {
    let mut found = Vec::new();
    if !filters.categories.is_empty() {
        let ids = filters.categories.iter().map(CategoryId::to_string);
        found.push((Facet::Category, Query::any_of("category_ids", ids)));
    }
    if !filters.brands.is_empty() {
        let brands = any_form(["brand", "brand_key"], &filters.brands);
        found.push((Facet::Brand, brands));
    }
    let price = Range {
        gte: filters.min_price.map(|amount| amount.into()),
        lte: filters.max_price.map(|amount| amount.into()),
    };
    if price != Range::default() {
        let filter = Query::Range(On::new("price.amount", price));
        found.push((Facet::Price, filter));
    }
    if let Some(stars) = filters.min_rating.filter(|stars| *stars > 0.0) {
        let rating = Range {
            gte: Some(stars.into()),
            lte: None,
        };
        let filter = Query::Range(On::new("avg_rating", rating));
        found.push((Facet::Rating, filter));
    }
    if let Some(in_stock) = filters.in_stock {
        found.push((Facet::InStock, Query::is("in_stock", in_stock)));
    }
    found
}

/// Matches texts by their comparing keys: the first field holds texts that are their own keys, the
/// second the keys of the others.
fn any_form(fields: [&str; 2], keys: &[String]) -> Query {
    let any = fields.map(|field| Query::any_of(field, keys.iter().cloned()));
    Query::should(any.to_vec(), Some("1"))
}

/// The aggregations that count the requested facets, by facet name.
pub fn aggregations(
    search: &ProductSearch,
    split: &SplitFilters,
) -> BTreeMap<&'static str, Counts> {
    let counted = search.facets.iter().map(|&facet| {
        let aggs = Choices {
            choices: choices(facet),
        };
        let filter = split.without(facet);
        (facet.name(), Counts { filter, aggs })
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

/// Ids of the counted categories, whose names are needed as labels.
pub fn counted_categories(aggregations: &BTreeMap<String, Value>) -> Vec<String> {
    let buckets = buckets(aggregations, Facet::Category);
    let ids = buckets.filter_map(|bucket| bucket["key"].as_str());
    ids.map(str::to_owned).collect()
}

/// Reads the counts. Choices without a hit are left out.
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
            // Ranges come in ascending order; the best rating is listed first.
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
    // A boolean's key is a number; its name is in `key_as_string`.
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
        let split = SplitFilters::of(&search);
        assert_eq!(split.after.len(), 2);
        assert_eq!(split.before.len(), 3, "listed, removed and the price");
        let counts = aggregations(&search, &split);
        let filter = |facet: &str| serde_json::to_string(&counts[facet].filter).unwrap();
        assert!(!filter("brand").contains("Apple") && filter("brand").contains("in_stock"));
        assert!(filter("in_stock").contains("Apple"));
    }

    #[test]
    fn without_facets_every_filter_comes_first() {
        let split = SplitFilters::of(&search(&[("brand", "Apple"), ("attr.color", "red")]));
        assert!(split.after.is_empty());
        assert_eq!(split.before.len(), 4);
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
