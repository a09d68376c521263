//! Rows of stocks.

use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::StreamId;
use schemas::id::ProductId;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::log::{product_stream, stock_stream};
use super::persisted::differing_members;
use super::snapshot::{Snapshot, SnapshotError};
use super::statement::statements;
use super::{
    Basis, Loaded, Persisted, Row, RowError, SnapshotRow, Statement, StoreError, Stored, Tx,
    to_bigint,
};
use crate::domain::stock::{Stock, StockCommand};

/// Locks the stocks of these products that exist, in the order of ids.
async fn lock(tx: &Tx, ids: &[ProductId]) -> Result<Vec<Stored<Stock>>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = tx.query(STOCK_LOCK, &[&ids]).await?;
    let stocks = rows.iter().map(from_row).collect::<Result<_, _>>();
    stocks.map_err(StoreError::row(STOCK_LOCK.name))
}

statements! {
    /// Prepared on every connection.
    STATEMENTS:
    STOCK_INSERT = "stock/insert",
    STOCK_LOCK = "stock/lock",
    STOCK_UPDATE = "stock/update",
}

statements! {
    /// For `verify`.
    SNAPSHOT:
    STOCK_PAGE = "stock/page",
}

impl Persisted for Stock {
    const STATEMENTS: &'static [Statement] = STATEMENTS;

    async fn load(tx: &Tx, id: ProductId, _: &StockCommand) -> Result<Loaded<Self>, StoreError> {
        let state = lock(tx, &[id]).await?.pop();
        let basis = Basis {
            last_event: state.as_ref().map(last_event),
            ..Basis::default()
        };
        Ok(Loaded {
            state,
            context: (),
            basis,
        })
    }

    async fn write(tx: &Tx, rows: &[&Row<Self>]) -> Result<(), StoreError> {
        let (made, moved): (Vec<_>, Vec<_>) = rows.iter().copied().partition(|row| row.is_new());
        let (made, moved) = (Columns::of(&made), Columns::of(&moved));
        try_join!(made.send(tx, STOCK_INSERT), moved.send(tx, STOCK_UPDATE)).map(|_| ())
    }

    async fn page(
        snapshot: &Snapshot<'_>,
        after: Uuid,
    ) -> Result<Vec<SnapshotRow<Self>>, SnapshotError> {
        let rows = snapshot.page(STOCK_PAGE, after).await?;
        Ok(rows.iter().map(found).collect::<Result<_, _>>()?)
    }

    differing_members!(product_id, on_hand, reserved, updated_at);
}

/// A stock that was never moved is as its product's creation left it.
fn last_event(stock: &Stored<Stock>) -> (StreamId, u64) {
    match stock.version {
        0 => (product_stream(stock.value.product_id), 1),
        version => (stock_stream(stock.value.product_id), version),
    }
}

/// Stocks as arrays that run in parallel.
struct Columns {
    ids: Vec<Uuid>,
    on_hand: Vec<i64>,
    reserved: Vec<i64>,
    versions: Vec<i64>,
    updated: Vec<DateTime<Utc>>,
}

impl Columns {
    fn of(rows: &[&Row<Stock>]) -> Self {
        let stocks = || rows.iter().map(|row| &row.after);
        Self {
            ids: stocks().map(|stock| stock.value.product_id.0).collect(),
            on_hand: stocks().map(|stock| stock.value.on_hand).collect(),
            reserved: stocks().map(|stock| stock.value.reserved).collect(),
            versions: stocks().map(|stock| to_bigint(stock.version)).collect(),
            updated: stocks().map(|stock| stock.value.updated_at).collect(),
        }
    }

    async fn send(&self, tx: &Tx, statement: Statement) -> Result<(), StoreError> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let params: [&(dyn ToSql + Sync); 5] = [
            &self.ids,
            &self.on_hand,
            &self.reserved,
            &self.versions,
            &self.updated,
        ];
        tx.execute(statement, &params).await.map(|_| ())
    }
}

/// The creation of the product, which makes a stock, is in another stream.
fn found(row: &SqlRow) -> Result<SnapshotRow<Stock>, RowError> {
    let stored = from_row(row)?;
    let empty = Stock::empty(stored.value.product_id, row.try_get("created_at")?);
    Ok(SnapshotRow {
        stored,
        start: Some(empty),
        key: None,
    })
}

fn from_row(row: &SqlRow) -> Result<Stored<Stock>, RowError> {
    let value = Stock {
        product_id: ProductId(row.try_get("product_id")?),
        on_hand: row.try_get("on_hand")?,
        reserved: row.try_get("reserved")?,
        updated_at: row.try_get("updated_at")?,
    };
    Ok(Stored {
        value,
        version: u64::try_from(row.try_get::<_, i64>("version")?)?,
    })
}
