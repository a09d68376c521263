//! Single values of parameters: each reads one, or says what would be acceptable.

use std::collections::BTreeSet;

use schemas::id::CategoryId;
use schemas::money::MAX_AMOUNT;

use super::Facet;

const MAX_TEXT_CHARS: usize = 200;
pub(super) const MAX_VALUE_CHARS: usize = 512;
const MAX_CURSOR_CHARS: usize = 8 * 1024;

pub(super) fn text(value: &str) -> Result<String, String> {
    if value.chars().count() > MAX_TEXT_CHARS {
        return Err(format!("at most {MAX_TEXT_CHARS} characters"));
    }
    Ok(value.trim().to_owned())
}

pub(super) fn filter_value(value: &str) -> Result<String, String> {
    match value.chars().count() {
        0 => Err("must not be empty".to_owned()),
        1..=MAX_VALUE_CHARS => Ok(value.to_owned()),
        _ => Err(format!("at most {MAX_VALUE_CHARS} characters")),
    }
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
