//! The tree of categories: its lock, paths in it, and the surroundings of a category.
//!
//! The lock comes before everything but the idempotency row: shared where names or paths are copied
//! into events, exclusive where they change.

use std::collections::BTreeMap;

use schemas::event::{CategoryRef, StreamId};
use schemas::id::CategoryId;
use schemas::lane::{Lane, Position};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::log::{category_stream, product_stream};
use super::statement::{
    CATEGORY_LOCK_TREE, CATEGORY_LOCK_TREE_SHARED, CATEGORY_PLACES, CATEGORY_SURROUNDINGS,
};
use super::{RowError, StoreError, Tx};
use crate::domain::category::{ChangeCategory, Place, Places, Surroundings};
use crate::domain::text::NameKey;

/// The advisory lock of the tree.
pub(super) const TREE: i64 = 0x7469_6465_7472_6565;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeLock {
    Shared,
    Exclusive,
}

/// Categories with their paths, and where all steps of these stand in the log.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub places: Places,
    pub positions: Vec<Position>,
}

/// Held until the transaction ends.
pub async fn lock_tree(tx: &Tx, lock: TreeLock) -> Result<(), StoreError> {
    let statement = match lock {
        TreeLock::Shared => CATEGORY_LOCK_TREE_SHARED,
        TreeLock::Exclusive => CATEGORY_LOCK_TREE,
    };
    tx.query(statement, &[&TREE]).await.map(|_| ())
}

/// The categories of these ids that exist. Read under the tree's lock.
pub async fn places(tx: &Tx, ids: &[CategoryId]) -> Result<Found, StoreError> {
    if ids.is_empty() {
        return Ok(Found::default());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = tx.query(CATEGORY_PLACES, &[&ids]).await?;
    read_places(&rows).map_err(StoreError::row(CATEGORY_PLACES.name))
}

/// The surroundings of a category that is to be changed like this, except the places; and which
/// streams say so.
pub async fn surroundings(
    tx: &Tx,
    id: CategoryId,
    wish: &ChangeCategory,
) -> Result<(Surroundings, Vec<(StreamId, u64)>), StoreError> {
    let name: Option<&str> = wish.name.as_ref().map(AsRef::as_ref);
    let key = name.map(NameKey::of);
    let key = key.as_ref().map(NameKey::as_str);
    let parent_id = wish.parent_id.flatten().map(|id| id.0);
    let params: [&(dyn ToSql + Sync); 5] =
        [&id.0, &name, &wish.parent_id.is_some(), &parent_id, &key];
    let row = tx.query_first(CATEGORY_SURROUNDINGS, &params).await?;
    let row = row.expect("the statement always returns one row");
    read_surroundings(&row).map_err(StoreError::row(CATEGORY_SURROUNDINGS.name))
}

fn read_places(rows: &[Row]) -> Result<Found, RowError> {
    let mut places = BTreeMap::<CategoryId, Place>::new();
    let mut positions = Vec::new();
    for row in rows {
        let asked = CategoryId(row.try_get("asked")?);
        let id = CategoryId(row.try_get("id")?);
        let place = places.entry(asked).or_insert_with(|| Place {
            path: Vec::new(),
            retired: false,
        });
        place.path.push(CategoryRef {
            id,
            name: row.try_get("name")?,
        });
        // The last step is the category itself.
        place.retired = row.try_get("retired")?;
        if let Some(seq) = row.try_get::<_, Option<i64>>("seq")? {
            positions.push(Position {
                lane: Lane::of(id.0),
                seq: u64::try_from(seq)?,
            });
        }
    }
    Ok(Found {
        places: places.into_iter().collect(),
        positions,
    })
}

fn read_surroundings(row: &Row) -> Result<(Surroundings, Vec<(StreamId, u64)>), RowError> {
    let witness = |id: &str, version: &str| -> Result<Option<(Uuid, u64)>, RowError> {
        let Some(id) = row.try_get::<_, Option<Uuid>>(id)? else {
            return Ok(None);
        };
        Ok(Some((id, u64::try_from(row.try_get::<_, i64>(version)?)?)))
    };
    let child = witness("child_id", "child_version")?;
    let sibling = witness("sibling_id", "sibling_version")?;
    let product = witness("product_id", "product_version")?;
    let height: Option<i32> = row.try_get("height")?;
    let around = Surroundings {
        places: Places::default(),
        name_taken: sibling.is_some(),
        height: usize::try_from(height.unwrap_or(0))?,
        has_products: product.is_some(),
        has_children: child.is_some(),
    };
    let categories = child.into_iter().chain(sibling);
    let streams = categories
        .map(|(id, version)| (category_stream(id), version))
        .chain(product.map(|(id, version)| (product_stream(id), version)));
    Ok((around, streams.collect()))
}
