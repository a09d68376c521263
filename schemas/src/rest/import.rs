//! Lines of an import and of its answer (NDJSON).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::MoneyBody;
use crate::problem::Problem;

/// A line of `POST /v1/imports/products`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductLine {
    pub sku: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub brand: String,
    /// Paths, levels joined by ` > `; missing categories are made.
    #[serde(default)]
    pub categories: Vec<String>,
    pub price: MoneyBody,
    /// Counts on creation only.
    #[serde(default)]
    pub inventory: i64,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    Created,
    Updated,
    Unchanged,
    Refused,
}

/// The answer to one line, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineAnswer {
    /// Number of the input line, from 1.
    pub line: u64,
    pub status: LineStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub problem: Option<Problem>,
}

/// The last line of an import's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportTotals {
    pub lines: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub refused: u64,
    /// Covers all lines; the header of the answer cannot, since it leaves first.
    pub tidemark: String,
}
