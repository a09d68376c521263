//! Facts of a product's stock. A stream of its own: selling does not change the product's version.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ProductId;

/// Units came or went other than by an order; carries what is there afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockAdjusted {
    pub product_id: ProductId,
    pub delta: i64,
    pub reason: String,
    /// Units in the house after this event.
    pub on_hand: i64,
    /// Units of those that are promised to orders.
    pub reserved: i64,
    pub occurred_at: DateTime<Utc>,
}
