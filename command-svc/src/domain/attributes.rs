//! Attributes of a product: names and values as the shop wants them, within bounds.
//!
//! The bound on their JSON keeps an event below the 256 KiB that one may take, whatever the other
//! members of the product hold.

use std::collections::{BTreeMap, HashSet};

use schemas::problem::Violation;
use schemas::text::comparing_key;

use super::text::{AttributeKey, AttributeValue};
use super::violations::{Violations, pointer_step};

pub const MAX_ATTRIBUTES: usize = 100;
/// Of all attributes together, as JSON.
pub const MAX_ATTRIBUTES_BYTES: usize = 64 * 1024;

/// Where attributes stand in a body.
const POINTER: &str = "/attributes";

/// All attributes of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

/// What a merge patch says of attributes: a value sets one, none removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributesChange {
    Clear,
    Replace(Attributes),
    Merge(BTreeMap<String, Option<String>>),
}

impl Attributes {
    pub fn parse(given: BTreeMap<String, String>) -> Result<Self, Vec<Violation>> {
        let mut violations = Violations::default();
        let mut names = Names::default();
        let mut parsed = BTreeMap::new();
        for (key, value) in given {
            let value = parse_one(&mut violations, &mut names, &key, Some(&value));
            parsed.extend(value.and_then(|(key, value)| Some((key, value?))));
        }
        if let Err(message) = check_bounds(&parsed) {
            violations.add(POINTER, &message);
        }
        violations.into_result(Some(Self(parsed)))
    }

    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl AttributesChange {
    pub fn parse_merge(given: BTreeMap<String, Option<String>>) -> Result<Self, Vec<Violation>> {
        let mut violations = Violations::default();
        let mut names = Names::default();
        let mut parsed = BTreeMap::new();
        for (key, value) in given {
            let one = parse_one(&mut violations, &mut names, &key, value.as_deref());
            parsed.extend(one);
        }
        violations.into_result(Some(Self::Merge(parsed)))
    }

    /// The attributes afterwards, or why there cannot be that many.
    pub fn apply(
        &self,
        before: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let merge = match self {
            Self::Clear => return Ok(BTreeMap::new()),
            Self::Replace(attributes) => return Ok(attributes.0.clone()),
            Self::Merge(merge) => merge,
        };
        let mut after = before.clone();
        for (key, value) in merge {
            let key = name_in(&after, key);
            match value {
                Some(value) => after.insert(key, value.clone()),
                None => after.remove(&key),
            };
        }
        check_bounds(&after)?;
        Ok(after)
    }
}

/// The name under which a product has this attribute: names that compare equal are one.
fn name_in(attributes: &BTreeMap<String, String>, name: &str) -> String {
    if attributes.contains_key(name) {
        return name.to_owned();
    }
    let key = comparing_key(name);
    let mut names = attributes.keys();
    let same = names.find(|other| comparing_key(other) == key);
    same.map_or(name, String::as_str).to_owned()
}

/// Names that a body has given, as they are compared.
type Names = HashSet<String>;

fn parse_one(
    violations: &mut Violations,
    names: &mut Names,
    key: &str,
    value: Option<&str>,
) -> Option<(String, Option<String>)> {
    let pointer = format!("{POINTER}/{}", pointer_step(key));
    let parsed_key = AttributeKey::parse(key).map_err(|error| format!("the name {error}"));
    let parsed_key = violations.take(&pointer, parsed_key);
    if let Some(key) = &parsed_key
        && !names.insert(comparing_key(key.as_str()).into_owned())
    {
        violations.add(&pointer, "the name is given more than once");
    }
    let parsed_value = match value {
        Some(value) => Some(
            violations
                .take(&pointer, AttributeValue::parse(value))?
                .into(),
        ),
        None => None,
    };
    Some((parsed_key?.into(), parsed_value))
}

fn check_bounds(attributes: &BTreeMap<String, String>) -> Result<(), String> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("must have at most {MAX_ATTRIBUTES} members"));
    }
    // Six bytes is the most that JSON makes of one (an escaped control character).
    let bytes: usize = attributes
        .iter()
        .map(|(key, value)| key.len() + value.len() + 8)
        .sum();
    if bytes * 6 <= MAX_ATTRIBUTES_BYTES {
        return Ok(());
    }
    let json = serde_json::to_string(attributes).expect("texts are plain data");
    if json.len() > MAX_ATTRIBUTES_BYTES {
        return Err(format!(
            "must take at most {MAX_ATTRIBUTES_BYTES} bytes as JSON"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn each_bad_attribute_is_named() {
        let found = Attributes::parse(map(&[("", "x"), ("a/b", "\u{1}"), ("good", "y")]));
        let pointers: Vec<_> = found
            .unwrap_err()
            .into_iter()
            .map(|violation| violation.pointer)
            .collect();
        assert_eq!(pointers, ["/attributes/", "/attributes/a~1b"]);
    }

    #[test]
    fn a_merge_sets_and_takes_away() {
        let merge = BTreeMap::from([
            ("a".to_owned(), None),
            ("b".to_owned(), Some("2".to_owned())),
        ]);
        let change = AttributesChange::parse_merge(merge).unwrap();
        let after = change.apply(&map(&[("a", "1"), ("c", "3")])).unwrap();
        assert_eq!(after, map(&[("b", "2"), ("c", "3")]));
    }

    #[test]
    fn names_that_become_equal_by_cleaning_are_refused() {
        for (first, second) in [("a", " a"), ("a b", "a \u{a0}b"), ("ab", "a\u{200d}b")] {
            let given = map(&[(first, "1"), (second, "2")]);
            let found = Attributes::parse(given).unwrap_err();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].pointer.starts_with("/attributes/"));
        }
        let merge = BTreeMap::from([("a".to_owned(), None), ("a ".to_owned(), None)]);
        assert!(AttributesChange::parse_merge(merge).is_err());
    }

    #[test]
    fn a_merge_finds_the_name_that_compares_equal() {
        let merge = BTreeMap::from([("a\u{200d}b".to_owned(), Some("2".to_owned()))]);
        let change = AttributesChange::parse_merge(merge).unwrap();
        assert_eq!(change.apply(&map(&[("ab", "1")])), Ok(map(&[("ab", "2")])));
    }

    #[test]
    fn many_merges_never_make_too_many() {
        let before: BTreeMap<_, _> = (0..MAX_ATTRIBUTES)
            .map(|n| (format!("k{n}"), String::new()))
            .collect();
        let merge = BTreeMap::from([("one more".to_owned(), Some(String::new()))]);
        assert!(
            AttributesChange::parse_merge(merge)
                .unwrap()
                .apply(&before)
                .is_err()
        );
    }

    #[test]
    fn all_together_are_bounded_in_bytes() {
        let given = (0..40)
            .map(|n| (format!("k{n}"), "\u{1f600}".repeat(500)))
            .collect();
        assert_eq!(
            Attributes::parse(given).unwrap_err()[0].pointer,
            "/attributes"
        );
    }
}
