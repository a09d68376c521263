//! Facts of a product: what it is, what it costs, where it stands in the catalogue.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::category::CategoryPath;
use crate::id::ProductId;
use crate::money::Money;

/// A product entered the catalogue, listed from the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCreated {
    pub product_id: ProductId,
    pub sku: String,
    pub name: String,
    pub description: String,
    pub brand: String,
    pub price: Money,
    /// The path of each of its categories, with the names as they were.
    pub categories: Vec<CategoryPath>,
    pub attributes: BTreeMap<String, String>,
    pub occurred_at: DateTime<Utc>,
}

/// Name, description, brand and attributes as they are from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductDetailsChanged {
    pub product_id: ProductId,
    pub name: String,
    pub description: String,
    pub brand: String,
    pub attributes: BTreeMap<String, String>,
    pub occurred_at: DateTime<Utc>,
}

/// The product stands in these categories, and in no others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCategorized {
    pub product_id: ProductId,
    pub categories: Vec<CategoryPath>,
    pub occurred_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceChanged {
    pub product_id: ProductId,
    pub price: Money,
    pub occurred_at: DateTime<Utc>,
}

/// The product can be found by search again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductListed {
    pub product_id: ProductId,
    pub occurred_at: DateTime<Utc>,
}

/// The product left search; its page stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductUnlisted {
    pub product_id: ProductId,
    pub occurred_at: DateTime<Utc>,
}
