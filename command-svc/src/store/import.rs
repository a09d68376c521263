//! What only imports ask: many products by sku, categories by name, how long lanes were held.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::id::CategoryId;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::statement::{
    IMPORT_CATEGORIES, IMPORT_CLOCK, IMPORT_INSERT_CATEGORIES, IMPORT_PRODUCTS,
};
use super::{RowError, StoreError, Stored, Tx, product};
use crate::domain::category::Category;
use crate::domain::product::Product;
use crate::domain::text::{NameKey, Sku, SkuKey};

/// A node of a tree of names.
#[derive(Debug, Clone, Copy)]
pub struct NameNode<'a> {
    /// Among the nodes.
    pub parent: Option<usize>,
    pub name: &'a str,
    pub key: &'a NameKey,
}

/// The living category at each node, where there is one. Read under the tree's lock.
pub async fn categories(
    tx: &Tx,
    nodes: &[NameNode<'_>],
) -> Result<Vec<Option<CategoryId>>, StoreError> {
    let mut found = vec![None; nodes.len()];
    if nodes.is_empty() {
        return Ok(found);
    }
    let number = |node: usize| i32::try_from(node).expect("a batch names few categories");
    let numbers: Vec<i32> = (0..nodes.len()).map(number).collect();
    let parents: Vec<Option<i32>> = nodes.iter().map(|node| node.parent.map(number)).collect();
    let names: Vec<&str> = nodes.iter().map(|node| node.name).collect();
    let keys: Vec<&str> = nodes.iter().map(|node| node.key.as_str()).collect();
    let rows = tx
        .query(IMPORT_CATEGORIES, &[&numbers, &parents, &names, &keys])
        .await?;
    let mut read = |row: &Row| -> Result<(), RowError> {
        let node = usize::try_from(row.try_get::<_, i32>(0)?)?;
        found[node] = Some(CategoryId(row.try_get(1)?));
        Ok(())
    };
    let read = rows.iter().try_for_each(&mut read);
    read.map_err(StoreError::row(IMPORT_CATEGORIES.name))?;
    Ok(found)
}

/// The products under these skus, whole, by key. Locks nothing.
pub async fn products(
    tx: &Tx,
    skus: &[(&Sku, &SkuKey)],
) -> Result<HashMap<SkuKey, Stored<Product>>, StoreError> {
    let keys: Vec<&str> = skus.iter().map(|(_, key)| key.as_str()).collect();
    let skus: Vec<&str> = skus.iter().map(|(sku, _)| sku.as_str()).collect();
    let rows = tx.query(IMPORT_PRODUCTS, &[&keys, &skus]).await?;
    let mut products = HashMap::with_capacity(rows.len());
    let mut read = |row: &Row| -> Result<(), RowError> {
        let mut stored = product::from_row(row)?;
        let categories: Vec<Uuid> = row.try_get("category_ids")?;
        stored.value.category_ids = categories.into_iter().map(CategoryId).collect();
        let key: Option<String> = row.try_get("sku_key")?;
        let key = key.map_or_else(|| SkuKey::of(&stored.value.sku), SkuKey::stored);
        products.entry(key).or_insert(stored);
        Ok(())
    };
    let read = rows.iter().try_for_each(&mut read);
    read.map_err(StoreError::row(IMPORT_PRODUCTS.name))?;
    Ok(products)
}

/// A name that another transaction has taken is an error: the transaction has to be run again.
pub async fn insert_categories(tx: &Tx, created: &[&Stored<Category>]) -> Result<(), StoreError> {
    let Some(first) = created.first() else {
        return Ok(());
    };
    let ids: Vec<Uuid> = created.iter().map(|category| category.value.id.0).collect();
    let names: Vec<&str> = created
        .iter()
        .map(|category| category.value.name.as_str())
        .collect();
    let keys: Vec<NameKey> = created
        .iter()
        .map(|category| NameKey::of(&category.value.name))
        .collect();
    let keys: Vec<&str> = keys.iter().map(NameKey::as_str).collect();
    let parents: Vec<Option<Uuid>> = created
        .iter()
        .map(|category| category.value.parent_id.map(|id| id.0))
        .collect();
    let at = first.value.created_at;
    let params: [&(dyn ToSql + Sync); 5] = [&ids, &names, &keys, &parents, &at];
    tx.execute(IMPORT_INSERT_CATEGORIES, &params)
        .await
        .map(|_| ())
}

/// The server's clock.
pub async fn clock(tx: &Tx) -> Result<DateTime<Utc>, StoreError> {
    let rows = tx.query(IMPORT_CLOCK, &[]).await?;
    read_time(&rows, IMPORT_CLOCK.name)
}

fn read_time(rows: &[Row], statement: &'static str) -> Result<DateTime<Utc>, StoreError> {
    let row = rows.first().expect("the statement always returns one row");
    row.try_get(0)
        .map_err(|error| StoreError::row(statement)(error.into()))
}
