//! Answers of queries (query-svc).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::MoneyBody;
use crate::event::CategoryRef;
use crate::id::{CategoryId, ProductId};

/// A product as readers get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    pub id: ProductId,
    pub sku: String,
    pub name: String,
    pub description: String,
    pub brand: String,
    pub price: MoneyBody,
    pub categories: Vec<ProductCategory>,
    pub attributes: BTreeMap<String, String>,
    pub listed: bool,
    pub available: i64,
    pub in_stock: bool,
    pub avg_rating: Option<f64>,
    pub num_reviews: u32,
    /// How many reviews gave 1, 2, 3, 4, 5.
    pub rating_histogram: [u32; 5],
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductCategory {
    pub id: CategoryId,
    pub name: String,
    /// From the root down to the category itself.
    pub path: Vec<CategoryRef>,
}

/// A product found by a search, with the words that matched in `<em>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductHit {
    #[serde(flatten)]
    pub product: Product,
    /// Fragments by field; the text is HTML-escaped but for the marks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub highlights: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Exactly this number.
    Eq,
    /// At least this number.
    Gte,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Total {
    pub value: u64,
    pub relation: Relation,
}

/// A page of products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductPage {
    pub items: Vec<ProductHit>,
    pub total: Total,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<String, Vec<FacetBucket>>,
    pub next_cursor: Option<String>,
}

/// One choice of a facet; its count respects the other filters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FacetBucket {
    /// What to hand back as the filter: a category id, a brand, `true`, `4`, `1000-2500`.
    pub value: String,
    /// What to show.
    pub label: String,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Suggestions {
    pub products: Vec<SuggestedProduct>,
    pub categories: Vec<SuggestedCategory>,
    pub brands: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuggestedProduct {
    pub id: ProductId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuggestedCategory {
    pub id: CategoryId,
    pub name: String,
    pub path: Vec<CategoryRef>,
}

/// A node of the category tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CategoryNode {
    pub id: CategoryId,
    pub name: String,
    pub parent_id: Option<CategoryId>,
    pub path: Vec<CategoryRef>,
    /// Listed products in it and below it.
    pub products: u64,
    #[schema(no_recursion)]
    pub children: Vec<CategoryNode>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CategoryTree {
    pub items: Vec<CategoryNode>,
}

/// What a tidemark means to this replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TidemarkState {
    /// Eight hexadecimal digits.
    pub epoch: String,
    /// `G` of the token.
    pub offset: u64,
    /// How far this replica has read the topic of watermarks, which `offset` is compared with.
    pub replica_offset: u64,
    pub covered: bool,
    pub views: Vec<ViewState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ViewState {
    pub view: String,
    pub build: Option<u32>,
    pub covered: bool,
    /// Events between the watermark and the heads that it names, over all lanes.
    pub behind_events: u64,
    /// Age of the oldest watermark record that counts, in seconds.
    pub behind_seconds: f64,
    pub lanes_behind: Vec<LaneBehind>,
}

/// A lane that does not cover a tidemark yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneBehind {
    pub lane: u8,
    /// What the tidemark asks for.
    pub wanted: u64,
    /// What is visible.
    pub visible: u64,
}
