//! Rows of products and of the categories that they are in. Verbs take many at once.

use std::collections::HashMap;

use futures::try_join;
use schemas::id::{CategoryId, ProductId};
use schemas::money::Money;
use serde_json::Value;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::log::product_stream;
use super::persisted::differing_members;
use super::snapshot::{Snapshot, SnapshotError};
use super::statement::statements;
use super::tree::{Found, TreeLock, lock_tree, places};
use super::{
    Basis, Loaded, Persisted, Row, RowError, SnapshotRow, Statement, StoreError, Stored, Taken,
    TextKey, Tx,
};
use crate::domain::product::{Product, ProductCommand, ProductRefusal};
use crate::domain::text::SkuKey;

mod write;

pub use write::insert;

statements! {
    /// Prepared on every connection.
    STATEMENTS:
    PRODUCT_HOLDERS_OF_SKU = "product/holders_of_sku",
    PRODUCT_INSERT = "product/insert",
    PRODUCT_LOCK = "product/lock",
    PRODUCT_LOCK_FREE = "product/lock_free",
    PRODUCT_UPDATE = "product/update",
    PRODUCT_UPDATE_PRICES = "product/update_prices",
    PRODUCT_CATEGORY_DELETE = "product_category/delete",
    PRODUCT_CATEGORY_INSERT = "product_category/insert",
    PRODUCT_CATEGORY_SELECT = "product_category/select",
}

statements! {
    /// For `verify`.
    SNAPSHOT:
    PRODUCT_PAGE = "product/page",
}

impl Persisted for Product {
    const STATEMENTS: &'static [Statement] = STATEMENTS;

    /// Commands that name categories copy their paths, under the tree's lock.
    async fn load(
        tx: &Tx,
        id: ProductId,
        command: &ProductCommand,
    ) -> Result<Loaded<Self>, StoreError> {
        let (found, state) = try_join!(load_places(tx, command), load_row(tx, id, command))?;
        let own = state.as_ref();
        let basis = Basis {
            positions: found.positions,
            last_event: own.map(|own| (product_stream(id), own.version)),
            ..Basis::default()
        };
        Ok(Loaded {
            state,
            context: found.places,
            basis,
        })
    }

    fn may_share(command: &ProductCommand) -> bool {
        match command {
            ProductCommand::Create(_) => false,
            ProductCommand::Change(wish) => wish.categories.is_none(),
            ProductCommand::ChangePrice(_) | ProductCommand::ChangeListing(_) => true,
        }
    }

    async fn lock_free(tx: &Tx, ids: &[ProductId]) -> Result<Vec<Stored<Self>>, StoreError> {
        lock_by(PRODUCT_LOCK_FREE, tx, ids).await
    }

    async fn insert(tx: &Tx, new: &Stored<Self>) -> Result<Option<Taken<Self>>, StoreError> {
        if !insert(tx, &[new]).await?.is_empty() {
            return Ok(None);
        }
        let holders = holders_of_sku(tx, &new.value.sku).await?;
        let holders = holders.into_iter();
        Ok(Some(Taken {
            refusal: ProductRefusal::SkuTaken,
            holders: holders
                .map(|(id, version)| (product_stream(id), version))
                .collect(),
        }))
    }

    /// Rows that are new were inserted before, without the categories that they are in.
    async fn write(tx: &Tx, rows: &[&Row<Self>]) -> Result<(), StoreError> {
        write::write(tx, rows).await
    }

    async fn page(
        snapshot: &Snapshot<'_>,
        after: Uuid,
    ) -> Result<Vec<SnapshotRow<Self>>, SnapshotError> {
        let rows = snapshot.page(PRODUCT_PAGE, after).await?;
        let mut products: Vec<SnapshotRow<Self>> =
            rows.iter().map(found).collect::<Result<_, _>>()?;
        let ids: Vec<Uuid> = products.iter().map(|row| row.stored.value.id.0).collect();
        let rows = snapshot.query(PRODUCT_CATEGORY_SELECT, &[&ids]).await?;
        let mut categories = read_category_ids(&rows)?;
        for SnapshotRow { stored, .. } in &mut products {
            let category_ids = categories.remove(&stored.value.id);
            stored.value.category_ids = category_ids.unwrap_or_default();
        }
        Ok(products)
    }

    differing_members!(
        id,
        sku,
        name,
        description,
        brand,
        price,
        category_ids,
        attributes,
        listed,
        created_at,
        updated_at,
    );
}

async fn load_places(tx: &Tx, command: &ProductCommand) -> Result<Found, StoreError> {
    let named = command.categories();
    if named.is_empty() {
        return Ok(Found::default());
    }
    let ((), found) = try_join!(lock_tree(tx, TreeLock::Shared), places(tx, named))?;
    Ok(found)
}

async fn load_row(
    tx: &Tx,
    id: ProductId,
    command: &ProductCommand,
) -> Result<Option<Stored<Product>>, StoreError> {
    if let ProductCommand::Create(_) = command {
        return Ok(None);
    }
    Ok(lock(tx, &[id]).await?.pop())
}

/// Locks the products of these ids that exist, in the order of ids.
pub async fn lock(tx: &Tx, ids: &[ProductId]) -> Result<Vec<Stored<Product>>, StoreError> {
    lock_by(PRODUCT_LOCK, tx, ids).await
}

async fn lock_by(
    statement: Statement,
    tx: &Tx,
    ids: &[ProductId],
) -> Result<Vec<Stored<Product>>, StoreError> {
    // The categories hang off the lock: read in the next statement.
    let uuids = uuids(ids);
    let params: [&(dyn ToSql + Sync); 1] = [&uuids];
    let (rows, mut categories) = try_join!(tx.query(statement, &params), category_ids(tx, ids))?;
    let mut read = |row: &SqlRow| -> Result<Stored<Product>, RowError> {
        let mut product = from_row(row)?;
        let category_ids = categories.remove(&product.value.id);
        product.value.category_ids = category_ids.unwrap_or_default();
        Ok(product)
    };
    let products = rows.iter().map(&mut read).collect::<Result<_, _>>();
    products.map_err(StoreError::row(statement.name))
}

/// The categories of products, in order; products without any are absent.
async fn category_ids(
    tx: &Tx,
    ids: &[ProductId],
) -> Result<HashMap<ProductId, Vec<CategoryId>>, StoreError> {
    let rows = tx.query(PRODUCT_CATEGORY_SELECT, &[&uuids(ids)]).await?;
    read_category_ids(&rows).map_err(StoreError::row(PRODUCT_CATEGORY_SELECT.name))
}

fn read_category_ids(rows: &[SqlRow]) -> Result<HashMap<ProductId, Vec<CategoryId>>, RowError> {
    let mut found = HashMap::<ProductId, Vec<CategoryId>>::new();
    for row in rows {
        let category_id = CategoryId(row.try_get(1)?);
        found
            .entry(ProductId(row.try_get(0)?))
            .or_default()
            .push(category_id);
    }
    Ok(found)
}

/// Who has a sku that counts as this one, and at which version. Locks nothing.
async fn holders_of_sku(tx: &Tx, sku: &str) -> Result<Vec<(ProductId, u64)>, StoreError> {
    let rows = tx
        .query(PRODUCT_HOLDERS_OF_SKU, &[&SkuKey::of(sku).as_str(), &sku])
        .await?;
    let read = |row: &SqlRow| -> Result<_, RowError> {
        let version = u64::try_from(row.try_get::<_, i64>(1)?)?;
        Ok((ProductId(row.try_get(0)?), version))
    };
    let found = rows.iter().map(read).collect::<Result<_, _>>();
    found.map_err(StoreError::row(PRODUCT_HOLDERS_OF_SKU.name))
}

/// Without the categories.
fn found(row: &SqlRow) -> Result<SnapshotRow<Product>, RowError> {
    let stored = from_row(row)?;
    let key = TextKey {
        of: "sku",
        own: SkuKey::of(&stored.value.sku).as_str().to_owned(),
        stored: row.try_get("sku_key")?,
    };
    Ok(SnapshotRow {
        stored,
        start: None,
        key: Some(key),
    })
}

/// `category_ids` is empty: they are in another table.
pub fn from_row(row: &SqlRow) -> Result<Stored<Product>, RowError> {
    let attributes: Value = row.try_get("attributes")?;
    let value = Product {
        id: ProductId(row.try_get("id")?),
        sku: row.try_get("sku")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        brand: row.try_get("brand")?,
        price: Money::new(row.try_get("price_amount")?, row.try_get("price_currency")?)?,
        category_ids: Vec::new(),
        attributes: serde_json::from_value(attributes)?,
        listed: row.try_get("listed")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    };
    Ok(Stored {
        value,
        version: u64::try_from(row.try_get::<_, i64>("version")?)?,
    })
}

fn uuids(ids: &[ProductId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
