//! Lines of an import and of its answer (NDJSON).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::{MoneyBody, Patch};
use super::members;
use crate::problem::Problem;

/// A line of `POST /v1/imports/products` as it is received. A member that is left out leaves what is
/// stored alone; null or an empty value clears it. A new product needs sku, name and price.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProductUpsert {
    #[schema(required, value_type = String)]
    pub sku: Option<String>,
    #[schema(value_type = String)]
    pub name: Patch<String>,
    #[schema(value_type = Option<String>)]
    pub description: Patch<String>,
    #[schema(value_type = Option<String>)]
    pub brand: Patch<String>,
    /// Paths, levels joined by ` > `; missing categories are made. Replaced as a whole.
    #[schema(value_type = Option<Vec<String>>)]
    pub categories: Patch<Vec<String>>,
    #[schema(value_type = MoneyBody)]
    pub price: Patch<MoneyBody>,
    /// Counts on creation only.
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub inventory: Patch<i64>,
    /// Replaced as a whole.
    #[serde(deserialize_with = "members::unique_patch")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub attributes: Patch<BTreeMap<String, String>>,
}

/// A line of an import of products with all members, as catalogues are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The last line where a client did not read, and the rest of its lines was not imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportCutShort {
    /// The number of lines that were answered.
    pub lines: u64,
    #[schema(value_type = Object)]
    pub problem: Problem,
}
