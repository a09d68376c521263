//! Query parameters of the lists: the one place that says what is acceptable.
//!
//! A `ProductSearch` exists only by parsing, so bodies need not check anything. Every parameter
//! that is wrong is named, not only the first.

use std::collections::{BTreeMap, BTreeSet};

use schemas::id::CategoryId;
use schemas::money::MAX_AMOUNT;
use serde::Serialize;

const MAX_TEXT_CHARS: usize = 200;
const MAX_VALUE_CHARS: usize = 512;
/// How many values one filter may have; any of them matches.
const MAX_VALUES: usize = 20;
const MAX_CURSOR_CHARS: usize = 8 * 1024;
const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 20;
const MAX_SUGGESTIONS: usize = 20;
const DEFAULT_SUGGESTIONS: usize = 8;
const ATTRIBUTE: &str = "attr.";

/// What `GET /v1/products` was asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProductSearch {
    /// Trimmed; none where nothing was typed.
    pub text: Option<String>,
    pub filters: Filters,
    pub sort: Sort,
    pub facets: BTreeSet<Facet>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// What a product must be. Several values of one filter: any of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Filters {
    pub categories: Vec<CategoryId>,
    pub brands: Vec<String>,
    /// In minor units, inclusive.
    pub min_price: Option<i64>,
    pub max_price: Option<i64>,
    pub in_stock: Option<bool>,
    pub min_rating: Option<f64>,
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// What `GET /v1/products/suggest` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestSearch {
    pub text: String,
    pub limit: usize,
}

/// A parameter that is not acceptable, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub parameter: String,
    pub message: String,
}

macro_rules! choices {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$mark:meta])? $variant:ident = $wire:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum $name { $($(#[$mark])? $variant),+ }

        impl $name {
            const NAMES: &'static str = concat!($($wire, " "),+);

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($wire => Ok(Self::$variant),)+
                    _ => Err(format!("one of: {}", Self::NAMES.trim_end().replace(' ', ", "))),
                }
            }
        }
    };
}

choices! {
    /// The order of hits; equals by id.
    #[derive(Default)]
    Sort {
        #[default]
        Relevance = "relevance",
        Price = "price",
        PriceDescending = "-price",
        Rating = "rating",
        Newest = "newest",
        Name = "name",
    }
}

choices! {
    /// What hits can be counted by.
    Facet {
        Category = "category",
        Brand = "brand",
        Price = "price",
        Rating = "rating",
        InStock = "in_stock",
    }
}

impl ProductSearch {
    /// Reads the parameters as they came, in any order.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Vec<Refused>> {
        let mut search = Self {
            limit: DEFAULT_LIMIT,
            ..Self::default()
        };
        let mut refused = refuse_repeated(pairs, |name| {
            matches!(name, "category" | "brand") || name.starts_with(ATTRIBUTE)
        });
        for (name, value) in pairs {
            if let Err(message) = search.take(name, value) {
                refused.push(Refused::new(name, message));
            }
        }
        let Filters {
            min_price,
            max_price,
            ..
        } = search.filters;
        if min_price.zip(max_price).is_some_and(|(min, max)| min > max) {
            refused.push(Refused::new("max_price", "below min_price"));
        }
        if refused.is_empty() {
            Ok(search)
        } else {
            Err(refused)
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let filters = &mut self.filters;
        match name {
            "q" => self.text = Some(text(value)?).filter(|text| !text.is_empty()),
            "category" => add(&mut filters.categories, category(value)?)?,
            "brand" => add(&mut filters.brands, filter_value(value)?)?,
            "min_price" => filters.min_price = Some(price(value)?),
            "max_price" => filters.max_price = Some(price(value)?),
            "in_stock" => filters.in_stock = Some(boolean(value)?),
            "min_rating" => filters.min_rating = Some(rating(value)?),
            "sort" => self.sort = Sort::parse(value)?,
            "facets" => self.facets = facets(value)?,
            "limit" => self.limit = number_up_to(value, MAX_LIMIT)?,
            "cursor" => self.cursor = Some(cursor(value)?),
            _ => match name.strip_prefix(ATTRIBUTE) {
                Some(attribute) => self.take_attribute(attribute, value)?,
                None => return Err(unknown()),
            },
        }
        Ok(())
    }

    fn take_attribute(&mut self, attribute: &str, value: &str) -> Result<(), String> {
        let attributes = &mut self.filters.attributes;
        let attribute = filter_value(attribute)?;
        if attributes.len() >= MAX_VALUES && !attributes.contains_key(&attribute) {
            return Err(format!("at most {MAX_VALUES} attributes"));
        }
        if value.chars().count() > MAX_VALUE_CHARS {
            return Err(format!("at most {MAX_VALUE_CHARS} characters"));
        }
        add(attributes.entry(attribute).or_default(), value.to_owned())
    }
}

impl SuggestSearch {
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Vec<Refused>> {
        let mut refused = refuse_repeated(pairs, |_| false);
        let (mut typed, mut limit) = (None, DEFAULT_SUGGESTIONS);
        for (name, value) in pairs {
            let taken = match name.as_str() {
                "q" => text(value).map(|text| typed = Some(text)),
                "limit" => number_up_to(value, MAX_SUGGESTIONS).map(|number| limit = number),
                _ => Err(unknown()),
            };
            if let Err(message) = taken {
                refused.push(Refused::new(name, message));
            }
        }
        if !pairs.iter().any(|(name, _)| name == "q") {
            refused.push(Refused::new("q", "required"));
        }
        match typed {
            Some(text) if refused.is_empty() => Ok(Self { text, limit }),
            _ => Err(refused),
        }
    }
}

impl Refused {
    pub fn new(parameter: &str, message: impl Into<String>) -> Self {
        Self {
            parameter: parameter.to_owned(),
            message: message.into(),
        }
    }
}

fn refuse_repeated(pairs: &[(String, String)], may_repeat: impl Fn(&str) -> bool) -> Vec<Refused> {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for (name, _) in pairs {
        if !seen.insert(name) && !may_repeat(name) {
            repeated.insert(name);
        }
    }
    let refused = repeated.into_iter();
    refused
        .map(|name| Refused::new(name, "given more than once"))
        .collect()
}

fn add<T: PartialEq>(values: &mut Vec<T>, value: T) -> Result<(), String> {
    if values.len() >= MAX_VALUES {
        return Err(format!("at most {MAX_VALUES} values"));
    }
    if !values.contains(&value) {
        values.push(value);
    }
    Ok(())
}

fn unknown() -> String {
    "no parameter of this list".to_owned()
}

fn text(value: &str) -> Result<String, String> {
    if value.chars().count() > MAX_TEXT_CHARS {
        return Err(format!("at most {MAX_TEXT_CHARS} characters"));
    }
    Ok(value.trim().to_owned())
}

fn filter_value(value: &str) -> Result<String, String> {
    match value.chars().count() {
        0 => Err("must not be empty".to_owned()),
        1..=MAX_VALUE_CHARS => Ok(value.to_owned()),
        _ => Err(format!("at most {MAX_VALUE_CHARS} characters")),
    }
}

fn category(value: &str) -> Result<CategoryId, String> {
    value.parse().map_err(|_| "not a UUID".to_owned())
}

fn price(value: &str) -> Result<i64, String> {
    let amount = value.parse().ok();
    amount
        .filter(|amount| (0..=MAX_AMOUNT).contains(amount))
        .ok_or_else(|| format!("a whole number of minor units from 0 to {MAX_AMOUNT}"))
}

fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "true or false".to_owned())
}

fn rating(value: &str) -> Result<f64, String> {
    let stars = value.parse().ok();
    stars
        .filter(|stars| (0.0..=5.0).contains(stars))
        .ok_or_else(|| "a number from 0 to 5".to_owned())
}

fn facets(value: &str) -> Result<BTreeSet<Facet>, String> {
    let names = value.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(Facet::parse)
        .collect()
}

fn number_up_to(value: &str, max: usize) -> Result<usize, String> {
    let number = value.parse().ok();
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("a whole number from 1 to {max}"))
}

fn cursor(value: &str) -> Result<String, String> {
    if value.len() > MAX_CURSOR_CHARS {
        return Err(format!("at most {MAX_CURSOR_CHARS} characters"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = query.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn refused(query: &[(&str, &str)]) -> Vec<String> {
        let refused = ProductSearch::parse(&pairs(query)).unwrap_err();
        refused
            .into_iter()
            .map(|refused| refused.parameter)
            .collect()
    }

    #[test]
    fn nothing_asked_is_everything_in_pages_of_twenty() {
        let search = ProductSearch::parse(&[]).unwrap();
        assert_eq!(search.limit, 20);
        assert_eq!((search.text, search.filters), (None, Filters::default()));
    }

    #[test]
    fn every_parameter_is_read() {
        let search = ProductSearch::parse(&pairs(&[
            ("q", " lamp "),
            ("category", "018f3e3c-7b1a-7c4d-8e5f-0123456789ab"),
            ("brand", "Apple"),
            ("brand", "LG"),
            ("min_price", "100"),
            ("max_price", "100"),
            ("in_stock", "true"),
            ("min_rating", "4.5"),
            ("attr.color", "red"),
            ("attr.size.eu", "42"),
            ("sort", "-price"),
            ("facets", "brand, price"),
            ("limit", "100"),
            ("cursor", "abc"),
        ]));
        let search = search.unwrap();
        assert_eq!(search.text.as_deref(), Some("lamp"));
        assert_eq!(search.filters.brands, ["Apple", "LG"]);
        assert_eq!(search.filters.attributes["size.eu"], ["42"]);
        assert_eq!(search.sort, Sort::PriceDescending);
        assert_eq!(search.facets, BTreeSet::from([Facet::Brand, Facet::Price]));
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let bad = refused(&[
            ("category", "shoes"),
            ("min_price", "-1"),
            ("max_price", "1.5"),
            ("in_stock", "yes"),
            ("min_rating", "NaN"),
            ("sort", "cheapest"),
            ("facets", "brand,colour"),
            ("limit", "0"),
            ("attr.", "x"),
            ("colour", "red"),
        ]);
        let names =
            "category min_price max_price in_stock min_rating sort facets limit attr. colour";
        assert_eq!(bad, names.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn a_parameter_is_given_once_but_for_the_filters_with_choices() {
        assert_eq!(refused(&[("q", "a"), ("q", "b")]), ["q"]);
        assert!(ProductSearch::parse(&pairs(&[("attr.a", "1"), ("attr.a", "2")])).is_ok());
    }

    #[test]
    fn a_query_has_at_most_two_hundred_characters_not_bytes() {
        assert!(ProductSearch::parse(&pairs(&[("q", &"é".repeat(200))])).is_ok());
        assert_eq!(refused(&[("q", &"a".repeat(201))]), ["q"]);
    }

    #[test]
    fn the_cheapest_is_not_dearer_than_the_dearest() {
        let bad = refused(&[("min_price", "2"), ("max_price", "1")]);
        assert_eq!(bad, ["max_price"]);
    }

    #[test]
    fn suggestions_need_what_was_typed() {
        let refused = SuggestSearch::parse(&[]).unwrap_err();
        assert_eq!(refused, [Refused::new("q", "required")]);
        let search = SuggestSearch::parse(&pairs(&[("q", " la ")])).unwrap();
        assert_eq!((search.text.as_str(), search.limit), ("la", 8));
    }
}
