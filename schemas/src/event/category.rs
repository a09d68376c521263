//! Facts of the category tree. A rename and a move are broadcast: they concern products of any lane.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::CategoryId;

/// A category as others name it: in paths of products and of categories below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct CategoryRef {
    pub id: CategoryId,
    pub name: String,
}

/// From the root down to the category itself.
pub type CategoryPath = Vec<CategoryRef>;

/// A category was added below `path`'s last but one, or as a root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryCreated {
    pub category_id: CategoryId,
    pub name: String,
    pub parent_id: Option<CategoryId>,
    /// From the root down to this category.
    pub path: CategoryPath,
    pub occurred_at: DateTime<Utc>,
}

/// Broadcast: every path that runs through the category reads differently now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryRenamed {
    pub category_id: CategoryId,
    pub name: String,
    pub occurred_at: DateTime<Utc>,
}

/// Broadcast: every path that runs through the category begins differently now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryMoved {
    pub category_id: CategoryId,
    pub parent_id: Option<CategoryId>,
    /// From the root down to the new parent; empty for a new root.
    pub ancestors: CategoryPath,
    pub occurred_at: DateTime<Utc>,
}

/// A category without products and without categories below it was taken away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryRetired {
    pub category_id: CategoryId,
    pub occurred_at: DateTime<Utc>,
}
