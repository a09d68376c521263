//! Rows of stocks.

use schemas::id::ProductId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::statement::{STOCK_INSERT, STOCK_LOCK, STOCK_UPDATE};
use super::{RowError, StoreError, Stored, Tx, to_bigint};
use crate::domain::stock::Stock;

/// Locks the stocks of these products that exist, in the order of ids.
pub async fn lock(tx: &Tx, ids: &[ProductId]) -> Result<Vec<Stored<Stock>>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = tx.query(STOCK_LOCK, &[&ids]).await?;
    let stocks = rows.iter().map(from_row).collect::<Result<_, _>>();
    stocks.map_err(StoreError::row(STOCK_LOCK.name))
}

/// Every product has a stock from its creation on, empty or not.
pub async fn insert(tx: &Tx, stocks: &[&Stored<Stock>]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = stocks
        .iter()
        .map(|stored| stored.value.product_id.0)
        .collect();
    let on_hand: Vec<i64> = stocks.iter().map(|stored| stored.value.on_hand).collect();
    let reserved: Vec<i64> = stocks.iter().map(|stored| stored.value.reserved).collect();
    let versions: Vec<i64> = stocks
        .iter()
        .map(|stored| to_bigint(stored.version))
        .collect();
    let updated: Vec<_> = stocks
        .iter()
        .map(|stored| stored.value.updated_at)
        .collect();
    tx.execute(
        STOCK_INSERT,
        &[&ids, &on_hand, &reserved, &versions, &updated],
    )
    .await
    .map(|_| ())
}

pub async fn update(tx: &Tx, stock: &Stored<Stock>) -> Result<(), StoreError> {
    let Stored { value, version } = stock;
    tx.execute(
        STOCK_UPDATE,
        &[
            &value.product_id.0,
            &value.on_hand,
            &value.reserved,
            &to_bigint(*version),
            &value.updated_at,
        ],
    )
    .await
    .map(|_| ())
}

pub fn from_row(row: &Row) -> Result<Stored<Stock>, RowError> {
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
