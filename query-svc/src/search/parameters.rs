//! Query parameters of the lists, and the only place that defines which are valid.
//!
//! A `ProductSearch` exists only by parsing, so bodies need not check anything. Every parameter
//! that is wrong is named, not only the first.

mod choice;
mod value;

pub use choice::{Facet, Sort};

use std::collections::{BTreeMap, BTreeSet};

use schemas::id::CategoryId;
use schemas::text::{MAX_ATTRIBUTE_NAME_CHARS, MAX_BRAND_CHARS};
use serde::Serialize;

/// How many values one filter may have; any of them matches.
const MAX_VALUES: usize = 20;
const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 20;
const MAX_SUGGESTIONS: usize = 20;
const DEFAULT_SUGGESTIONS: usize = 8;
const ATTRIBUTE: &str = "attr.";

/// The parameters of `GET /v1/products`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProductSearch {
    /// Trimmed; none if it was empty.
    pub text: Option<String>,
    pub filters: Filters,
    pub sort: Sort,
    pub facets: BTreeSet<Facet>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// Filters of products. Several values of one filter match any of them.
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

/// The parameters of `GET /v1/products/suggest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestSearch {
    pub text: String,
    pub limit: usize,
}

/// An invalid parameter, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub parameter: String,
    pub message: String,
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
            "q" => self.text = Some(value::text(value)?).filter(|text| !text.is_empty()),
            "category" => add(&mut filters.categories, value::category(value)?)?,
            "brand" => add(&mut filters.brands, value::name(value, MAX_BRAND_CHARS)?)?,
            "min_price" => filters.min_price = Some(value::price(value)?),
            "max_price" => filters.max_price = Some(value::price(value)?),
            "in_stock" => filters.in_stock = Some(value::boolean(value)?),
            "min_rating" => filters.min_rating = Some(value::rating(value)?),
            "sort" => self.sort = Sort::parse(value)?,
            "facets" => self.facets = value::facets(value)?,
            "limit" => self.limit = value::number_up_to(value, MAX_LIMIT)?,
            "cursor" => self.cursor = Some(value::cursor(value)?),
            _ => match name.strip_prefix(ATTRIBUTE) {
                Some(attribute) => self.take_attribute(attribute, value)?,
                None => return Err(unknown()),
            },
        }
        Ok(())
    }

    fn take_attribute(&mut self, attribute: &str, value: &str) -> Result<(), String> {
        let attributes = &mut self.filters.attributes;
        let attribute = value::name(attribute, MAX_ATTRIBUTE_NAME_CHARS)?;
        if attributes.len() >= MAX_VALUES && !attributes.contains_key(&attribute) {
            return Err(format!("at most {MAX_VALUES} attributes"));
        }
        let value = value::attribute_value(value)?;
        add(attributes.entry(attribute).or_default(), value)
    }
}

impl SuggestSearch {
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Vec<Refused>> {
        let mut refused = refuse_repeated(pairs, |_| false);
        let (mut typed, mut limit) = (None, DEFAULT_SUGGESTIONS);
        for (name, value) in pairs {
            let taken = match name.as_str() {
                "q" => value::text(value).map(|text| typed = Some(text)),
                "limit" => value::number_up_to(value, MAX_SUGGESTIONS).map(|number| limit = number),
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
    "not a parameter of this list".to_owned()
}

#[cfg(test)]
mod tests;
