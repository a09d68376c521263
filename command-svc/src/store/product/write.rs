//! What of products is written: the rows, whole or in part, and the categories that they are in.

use std::collections::HashSet;

use futures::try_join;
use schemas::id::ProductId;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::super::{Row, RowError, StoreError, Stored, Tx, to_bigint};
use super::{
    PRODUCT_CATEGORY_DELETE, PRODUCT_CATEGORY_INSERT, PRODUCT_INSERT, PRODUCT_UPDATE,
    PRODUCT_UPDATE_PRICES, uuids,
};
use crate::domain::product::Product;
use crate::domain::text::SkuKey;

/// Returns the ids that were inserted; the skus of the others are taken.
pub async fn insert(
    tx: &Tx,
    products: &[&Stored<Product>],
) -> Result<HashSet<ProductId>, StoreError> {
    if products.is_empty() {
        return Ok(HashSet::new());
    }
    let skus: Vec<&str> = products
        .iter()
        .map(|stored| stored.value.sku.as_str())
        .collect();
    let keys: Vec<SkuKey> = column(products, |product| SkuKey::of(&product.sku));
    let keys: Vec<&str> = keys.iter().map(SkuKey::as_str).collect();
    let created: Vec<_> = products
        .iter()
        .map(|stored| stored.value.created_at)
        .collect();
    let c = Columns::of(products);
    let rows = tx
        .query(
            PRODUCT_INSERT,
            &[
                &c.ids,
                &skus,
                &keys,
                &c.names,
                &c.descriptions,
                &c.brands,
                &c.amounts,
                &c.currencies,
                &c.attributes,
                &c.listed,
                &c.versions,
                &created,
                &c.updated,
            ],
        )
        .await?;
    let ids = rows
        .iter()
        .map(|row| Ok(ProductId(row.try_get(0)?)))
        .collect::<Result<_, RowError>>();
    ids.map_err(StoreError::row(PRODUCT_INSERT.name))
}

pub(super) async fn write(tx: &Tx, rows: &[&Row<Product>]) -> Result<(), StoreError> {
    let writes = Writes::of(rows);
    try_join!(
        update_prices(tx, &writes.prices),
        update(tx, &writes.details),
        delete_categories(tx, &writes.recategorized),
        insert_categories(tx, &writes.categorized),
    )
    .map(|_| ())
}

/// What of products has to be written.
#[derive(Debug, Default)]
struct Writes<'a> {
    /// Nothing of the row itself but the price, and what every change changes.
    prices: Vec<&'a Stored<Product>>,
    details: Vec<&'a Stored<Product>>,
    recategorized: Vec<ProductId>,
    /// New in all of their categories.
    categorized: Vec<&'a Product>,
}

impl<'a> Writes<'a> {
    fn of(rows: &[&'a Row<Product>]) -> Self {
        let mut writes = Self::default();
        for Row { before, after } in rows {
            let Some(before) = before else {
                writes.categorized.push(&after.value);
                continue;
            };
            if has_same_details(&before.value, &after.value) {
                writes.prices.push(after);
            } else {
                writes.details.push(after);
            }
            if before.value.category_ids != after.value.category_ids {
                writes.recategorized.push(after.value.id);
                writes.categorized.push(&after.value);
            }
        }
        writes
    }
}

/// True where `update_prices` writes every column that differs.
fn has_same_details(before: &Product, after: &Product) -> bool {
    // All members are named, so that a new one is not forgotten.
    let Product {
        id: _,
        sku: _,
        name,
        description,
        brand,
        price: _,
        category_ids: _,
        attributes,
        listed,
        created_at: _,
        updated_at: _,
    } = before;
    *name == after.name
        && *description == after.description
        && *brand == after.brand
        && *attributes == after.attributes
        && *listed == after.listed
}

/// Writes whole rows, except their categories.
async fn update(tx: &Tx, products: &[&Stored<Product>]) -> Result<(), StoreError> {
    if products.is_empty() {
        return Ok(());
    }
    let c = Columns::of(products);
    tx.execute(
        PRODUCT_UPDATE,
        &[
            &c.ids,
            &c.names,
            &c.descriptions,
            &c.brands,
            &c.amounts,
            &c.currencies,
            &c.attributes,
            &c.listed,
            &c.versions,
            &c.updated,
        ],
    )
    .await
    .map(|_| ())
}

/// Writes what changes of prices change, and nothing else.
async fn update_prices(tx: &Tx, products: &[&Stored<Product>]) -> Result<(), StoreError> {
    if products.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = column(products, |product| product.id.0);
    let amounts: Vec<i64> = column(products, |product| product.price.amount);
    let currencies: Vec<&str> = column(products, |product| product.price.currency.code());
    let updated: Vec<_> = column(products, |product| product.updated_at);
    let params: [&(dyn ToSql + Sync); 5] =
        [&ids, &amounts, &currencies, &versions(products), &updated];
    tx.execute(PRODUCT_UPDATE_PRICES, &params).await.map(|_| ())
}

async fn delete_categories(tx: &Tx, ids: &[ProductId]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute(PRODUCT_CATEGORY_DELETE, &[&uuids(ids)])
        .await
        .map(|_| ())
}

/// For products of which no category is stored.
async fn insert_categories(tx: &Tx, products: &[&Product]) -> Result<(), StoreError> {
    let mut product_ids = Vec::new();
    let mut category_ids = Vec::new();
    let mut places = Vec::new();
    for product in products {
        for (place, category_id) in (0_i16..).zip(&product.category_ids) {
            product_ids.push(product.id.0);
            category_ids.push(category_id.0);
            places.push(place);
        }
    }
    if product_ids.is_empty() {
        return Ok(());
    }
    tx.execute(
        PRODUCT_CATEGORY_INSERT,
        &[&product_ids, &category_ids, &places],
    )
    .await
    .map(|_| ())
}

/// Products as arrays that run in parallel.
struct Columns<'a> {
    ids: Vec<Uuid>,
    names: Vec<&'a str>,
    descriptions: Vec<&'a str>,
    brands: Vec<&'a str>,
    amounts: Vec<i64>,
    currencies: Vec<&'static str>,
    attributes: Vec<Value>,
    listed: Vec<bool>,
    versions: Vec<i64>,
    updated: Vec<chrono::DateTime<chrono::Utc>>,
}

impl<'a> Columns<'a> {
    fn of(products: &[&'a Stored<Product>]) -> Self {
        let json = |product: &Product| {
            serde_json::to_value(&product.attributes).expect("texts are plain data")
        };
        Self {
            ids: column(products, |product| product.id.0),
            names: column(products, |product| product.name.as_str()),
            descriptions: column(products, |product| product.description.as_str()),
            brands: column(products, |product| product.brand.as_str()),
            amounts: column(products, |product| product.price.amount),
            currencies: column(products, |product| product.price.currency.code()),
            attributes: column(products, json),
            listed: column(products, |product| product.listed),
            versions: versions(products),
            updated: column(products, |product| product.updated_at),
        }
    }
}

fn column<'a, T>(products: &[&'a Stored<Product>], read: impl Fn(&'a Product) -> T) -> Vec<T> {
    products.iter().map(|stored| read(&stored.value)).collect()
}

fn versions(products: &[&Stored<Product>]) -> Vec<i64> {
    products
        .iter()
        .map(|stored| to_bigint(stored.version))
        .collect()
}

#[cfg(test)]
mod tests;
