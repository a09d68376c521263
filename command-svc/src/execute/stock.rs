//! Movements of stock.

use chrono::{DateTime, Utc};
use schemas::event::StreamId;
use schemas::id::ProductId;

use super::answer::{Answer, of_stock};
use super::decision::{Decision, Rows, follow};
use super::expected::Expected;
use crate::domain::stock::{Command, Refusal, Stock, decide as decide_stock, evolve};
use crate::store::log::{product_stream, stock_stream};
use crate::store::{StoreError, Stored, Tx};

pub(super) async fn load(tx: &Tx, id: ProductId) -> Result<Option<Stored<Stock>>, StoreError> {
    Ok(crate::store::stock::lock(tx, &[id])
        .await?
        .into_iter()
        .next())
}

pub(super) fn decide(
    loaded: Option<Stored<Stock>>,
    command: &Command,
    expected: &Expected,
    at: DateTime<Utc>,
) -> Decision {
    let Some(stock) = loaded else {
        return Decision::refused(&Refusal::NoSuchProduct, Vec::new());
    };
    let own = vec![last_event(&stock)];
    if !expected.allows(stock.version) {
        return Decision::unchanged(Answer::mismatch(stock.version), own);
    }
    let events = match decide_stock(Some(&stock.value), command, at) {
        Ok(events) => events,
        Err(refusal) => return Decision::refused(&refusal, own),
    };
    let (stock, batch) = follow(Some(stock), &events, evolve);
    let answer = Answer::Current {
        resource: of_stock(&stock),
        version: stock.version,
    };
    Decision {
        batch,
        rows: Rows::Stock(stock),
        ..Decision::unchanged(answer, Vec::new())
    }
}

/// A stock that was never moved is as its product's creation left it.
fn last_event(stock: &Stored<Stock>) -> (StreamId, u64) {
    match stock.version {
        0 => (product_stream(stock.value.product_id), 1),
        version => (stock_stream(stock.value.product_id), version),
    }
}
