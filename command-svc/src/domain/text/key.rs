//! Keys by which texts are compared, beside the form in which they are stored.
//!
//! Where two texts that were there before their keys have the same one, the older keeps it, and the
//! other gets its own id appended: no text holds a line end, so no other row ever has that key.

use std::fmt;

use schemas::text::{comparing_key, sku_key};
use uuid::Uuid;

use super::Sku;

const GIVEN_WAY: char = '\n';

/// What skus are unique by: without regard to case and composition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkuKey(String);

/// What names of categories are unique by, below one parent: joiners and variation selectors are
/// not compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameKey(String);

impl SkuKey {
    pub fn of(sku: &str) -> Self {
        Self(sku_key(sku))
    }

    /// As it was read from where keys are stored.
    pub fn stored(key: String) -> Self {
        Self(key)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NameKey {
    pub fn of(name: &str) -> Self {
        Self(comparing_key(name).into_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Sku> for SkuKey {
    fn from(sku: &Sku) -> Self {
        Self::of(sku.as_str())
    }
}

impl fmt::Display for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of a text whose own is held by an older one.
pub fn given_way(key: &str, id: Uuid) -> String {
    format!("{key}{GIVEN_WAY}{id}")
}
