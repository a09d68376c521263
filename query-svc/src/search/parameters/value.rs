//! Values of parameters: each function parses one, or says which values are valid.

use std::collections::BTreeSet;

use schemas::id::CategoryId;
use schemas::money::MAX_AMOUNT;
use schemas::text::{
    MAX_ATTRIBUTE_VALUE_CHARS, MAX_DESCRIPTION_CHARS, comparing_key, composed, identifying,
    without_controls,
};

use super::choice::Facet;

/// As long as the longest searched field: whatever may be stored may be searched for.
const MAX_TEXT_CHARS: usize = MAX_DESCRIPTION_CHARS;
const MAX_CURSOR_CHARS: usize = 8 * 1024;

pub(super) fn text(value: &str) -> Result<String, String> {
    let text = composed(&without_controls(value)).trim().to_owned();
    at_most(MAX_TEXT_CHARS, text)
}

/// The comparing key of a name of at most `max` characters.
pub(super) fn name(value: &str, max: usize) -> Result<String, String> {
    let name = at_most(max, identifying(&without_controls(value)).into_owned())?;
    let key = comparing_key(&name).into_owned();
    if key.is_empty() {
        return Err("must show something".to_owned());
    }
    Ok(key)
}

/// The comparing key of an attribute's value.
pub(super) fn attribute_value(value: &str) -> Result<String, String> {
    let value = at_most(
        MAX_ATTRIBUTE_VALUE_CHARS,
        composed(value.trim()).into_owned(),
    )?;
    Ok(comparing_key(&value).into_owned())
}

fn at_most(max: usize, text: String) -> Result<String, String> {
    if text.len() > max && text.chars().count() > max {
        return Err(format!("at most {max} characters"));
    }
    Ok(text)
}

pub(super) fn category(value: &str) -> Result<CategoryId, String> {
    value.parse().map_err(|_| "not a UUID".to_owned())
}

pub(super) fn price(value: &str) -> Result<i64, String> {
    let amount = value.parse().ok();
    amount
        .filter(|amount| (0..=MAX_AMOUNT).contains(amount))
        .ok_or_else(|| format!("a whole number of minor units from 0 to {MAX_AMOUNT}"))
}

pub(super) fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "true or false".to_owned())
}

pub(super) fn rating(value: &str) -> Result<f64, String> {
    let stars = value.parse().ok();
    stars
        .filter(|stars| (0.0..=5.0).contains(stars))
        .ok_or_else(|| "a number from 0 to 5".to_owned())
}

pub(super) fn facets(value: &str) -> Result<BTreeSet<Facet>, String> {
    let names = value.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(Facet::parse)
        .collect()
}

pub(super) fn number_up_to(value: &str, max: usize) -> Result<usize, String> {
    let number = value.parse().ok();
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("a whole number from 1 to {max}"))
}

pub(super) fn cursor(value: &str) -> Result<String, String> {
    if value.len() > MAX_CURSOR_CHARS {
        return Err(format!("at most {MAX_CURSOR_CHARS} characters"));
    }
    Ok(value.to_owned())
}
