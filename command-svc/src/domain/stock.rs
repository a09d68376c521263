//! The stock of a product: units in the house, and how many of those are promised to orders.
//!
//! Never below what is promised, and so never below zero. A stream of its own.

use chrono::{DateTime, Utc};
use schemas::event::{Event, StockAdjusted, StreamKind};
use schemas::id::ProductId;

use super::aggregate::Aggregate;
use super::number::{Delta, Inventory, MAX_UNITS};
use super::refusal::{RefusalKind, Refuse};
use super::text::Reason;

/// The reason of the first units.
const INITIAL: &str = "initial stock";

/// The fold of a stock's events. A stock is there, empty, from its product's creation on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    pub product_id: ProductId,
    pub on_hand: i64,
    pub reserved: i64,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockCommand {
    Move { delta: Delta, reason: Reason },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockRefusal {
    NoSuchProduct,
    Insufficient {
        available: i64,
    },
    /// More units than are counted.
    Overflow,
}

impl Refuse for StockRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchProduct => RefusalKind::NotFound,
            Self::Insufficient { .. } | Self::Overflow => RefusalKind::Rule,
        }
    }
}

impl Stock {
    /// Before its first event.
    pub fn empty(product_id: ProductId, created_at: DateTime<Utc>) -> Self {
        Self {
            product_id,
            on_hand: 0,
            reserved: 0,
            updated_at: created_at,
        }
    }

    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

impl Aggregate for Stock {
    type Id = ProductId;
    type Command = StockCommand;
    type Refusal = StockRefusal;
    type Context = ();

    const STREAM: StreamKind = StreamKind::Stock;

    fn id(&self) -> ProductId {
        self.product_id
    }

    fn command_name(command: &StockCommand) -> &'static str {
        match command {
            StockCommand::Move { .. } => "move_stock",
        }
    }

    /// A stock is made with its product.
    fn creates(_: &StockCommand) -> bool {
        false
    }

    fn decide(
        state: Option<&Self>,
        command: &StockCommand,
        (): &(),
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, StockRefusal> {
        let stock = state.ok_or(StockRefusal::NoSuchProduct)?;
        let StockCommand::Move { delta, reason } = command;
        let delta = delta.units();
        let on_hand = stock.on_hand.saturating_add(delta);
        if on_hand < stock.reserved {
            return Err(StockRefusal::Insufficient {
                available: stock.available(),
            });
        }
        if on_hand > MAX_UNITS {
            return Err(StockRefusal::Overflow);
        }
        let adjusted = StockAdjusted {
            product_id: stock.product_id,
            delta,
            reason: reason.to_string(),
            on_hand,
            reserved: stock.reserved,
            occurred_at: at,
        };
        Ok(vec![adjusted.into()])
    }

    /// The creation of the product is an event of another stream: it makes a stock at version 0.
    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::ProductCreated(created) => {
                Some(Self::empty(created.product_id, created.occurred_at))
            }
            Event::StockAdjusted(adjusted) => Some(Self {
                product_id: adjusted.product_id,
                on_hand: adjusted.on_hand,
                reserved: adjusted.reserved,
                updated_at: adjusted.occurred_at,
            }),
            _ => state,
        }
    }
}

/// What a new product starts with; without units there is no event.
pub fn opening(product_id: ProductId, inventory: Inventory, at: DateTime<Utc>) -> Option<Event> {
    let units = inventory.units();
    let opened = StockAdjusted {
        product_id,
        delta: units,
        reason: INITIAL.to_owned(),
        on_hand: units,
        reserved: 0,
        occurred_at: at,
    };
    (units > 0).then(|| opened.into())
}

#[cfg(test)]
mod tests;
