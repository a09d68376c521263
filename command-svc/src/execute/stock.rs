//! Movements of stock.

use chrono::{DateTime, Utc};
use schemas::event::{Event, StreamId};
use schemas::id::ProductId;

use super::answer::{Answer, of_stock};
use super::decision::Decision;
use super::expected::Expected;
use crate::domain::Aggregate;
use crate::domain::stock::{Command, Refusal, Stock};
use crate::store::log::{product_stream, stock_stream};
use crate::store::{Changes, StoreError, Stored, Tx};

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
    match Stock::decide(Some(&stock.value), command, &(), at) {
        Ok(events) => moved(stock, events),
        Err(refusal) => Decision::refused(&refusal, own),
    }
}

fn moved(stock: Stored<Stock>, events: Vec<Event>) -> Decision {
    let id = stock.value.product_id;
    let changes = Changes::of(Some(stock), events);
    let stock = changes.get::<Stock>(id).expect("it is held");
    let answer = Answer::Current {
        resource: of_stock(stock),
        version: stock.version,
    };
    Decision {
        changes,
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
