//! Rows of categories. Their commands are decided under the tree's lock: shared to add a category,
//! exclusive to change one.

use futures::try_join;
use schemas::event::StreamId;
use schemas::id::CategoryId;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::log::category_stream;
use super::persisted::differing_members;
use super::snapshot::{Snapshot, SnapshotError};
use super::statement::statements;
use super::tree::{TreeLock, lock_tree, places, surroundings};
use super::{
    Basis, Loaded, Persisted, Row, RowError, SnapshotRow, Statement, StoreError, Stored, Taken,
    TextKey, Tx, to_bigint,
};
use crate::domain::category::{
    Category, CategoryCommand, CategoryRefusal, ChangeCategory, Surroundings,
};
use crate::domain::text::NameKey;

statements! {
    /// Prepared on every connection.
    STATEMENTS:
    CATEGORY_HOLDER = "category/holder",
    CATEGORY_INSERT = "category/insert",
    CATEGORY_LOCK = "category/lock",
    CATEGORY_UPDATE = "category/update",
}

statements! {
    /// For `verify`.
    SNAPSHOT:
    CATEGORY_PAGE = "category/page",
}

impl Persisted for Category {
    const STATEMENTS: &'static [Statement] = STATEMENTS;

    async fn load(
        tx: &Tx,
        id: CategoryId,
        command: &CategoryCommand,
    ) -> Result<Loaded<Self>, StoreError> {
        match command {
            CategoryCommand::Create { parent_id, .. } => load_parent(tx, *parent_id).await,
            CategoryCommand::Change(wish) => load_changing(tx, id, wish).await,
            CategoryCommand::Retire => load_changing(tx, id, &ChangeCategory::default()).await,
        }
    }

    async fn insert(tx: &Tx, new: &Stored<Self>) -> Result<Option<Taken<Self>>, StoreError> {
        if insert(tx, new).await? {
            return Ok(None);
        }
        let holder = holder(tx, new.value.parent_id, &new.value.name).await?;
        Ok(Some(Taken {
            refusal: CategoryRefusal::NameTaken,
            holders: holder.into_iter().collect(),
        }))
    }

    /// Rows that are new were inserted before.
    async fn write(tx: &Tx, rows: &[&Row<Self>]) -> Result<(), StoreError> {
        let changed = || {
            let changed = rows.iter().filter(|row| !row.is_new());
            changed.map(|row| &row.after)
        };
        let ids: Vec<Uuid> = changed().map(|row| row.value.id.0).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = changed().map(|row| row.value.name.as_str()).collect();
        let parent_ids: Vec<Option<Uuid>> = changed()
            .map(|row| row.value.parent_id.map(|id| id.0))
            .collect();
        let retired: Vec<bool> = changed().map(|row| row.value.retired).collect();
        let versions: Vec<i64> = changed().map(|row| to_bigint(row.version)).collect();
        let updated: Vec<_> = changed().map(|row| row.value.updated_at).collect();
        let keys: Vec<NameKey> = names.iter().map(|name| NameKey::of(name)).collect();
        let keys: Vec<&str> = keys.iter().map(NameKey::as_str).collect();
        let params: [&(dyn ToSql + Sync); 7] = [
            &ids,
            &names,
            &parent_ids,
            &retired,
            &versions,
            &updated,
            &keys,
        ];
        tx.execute(CATEGORY_UPDATE, &params).await.map(|_| ())
    }

    async fn page(
        snapshot: &Snapshot<'_>,
        after: Uuid,
    ) -> Result<Vec<SnapshotRow<Self>>, SnapshotError> {
        let rows = snapshot.page(CATEGORY_PAGE, after).await?;
        Ok(rows.iter().map(found).collect::<Result<_, _>>()?)
    }

    differing_members!(id, name, parent_id, retired, created_at, updated_at);
}

/// The category, its surroundings in the tree, and the wanted parent. Its own position is among
/// those of the paths.
async fn load_changing(
    tx: &Tx,
    id: CategoryId,
    wish: &ChangeCategory,
) -> Result<Loaded<Category>, StoreError> {
    let named: Vec<CategoryId> = [id].into_iter().chain(wish.parent_id.flatten()).collect();
    let ((), state, (around, witnesses), found) = try_join!(
        lock_tree(tx, TreeLock::Exclusive),
        lock(tx, id),
        surroundings(tx, id, wish),
        places(tx, &named),
    )?;
    let context = Surroundings {
        places: found.places,
        ..around
    };
    let basis = Basis {
        positions: found.positions,
        witnesses,
        ..Basis::default()
    };
    Ok(Loaded {
        state,
        context,
        basis,
    })
}

async fn load_parent(
    tx: &Tx,
    parent_id: Option<CategoryId>,
) -> Result<Loaded<Category>, StoreError> {
    let named: Vec<CategoryId> = parent_id.into_iter().collect();
    let ((), found) = try_join!(lock_tree(tx, TreeLock::Shared), places(tx, &named))?;
    let context = Surroundings {
        places: found.places,
        ..Surroundings::default()
    };
    let basis = Basis {
        positions: found.positions,
        ..Basis::default()
    };
    Ok(Loaded {
        state: None,
        context,
        basis,
    })
}

async fn lock(tx: &Tx, id: CategoryId) -> Result<Option<Stored<Category>>, StoreError> {
    let row = tx.query_first(CATEGORY_LOCK, &[&id.0]).await?;
    row.map(|row| from_row(&row))
        .transpose()
        .map_err(StoreError::row(CATEGORY_LOCK.name))
}

/// The living category that has this name, or one that counts as the same, below this parent.
async fn holder(
    tx: &Tx,
    parent_id: Option<CategoryId>,
    name: &str,
) -> Result<Option<(StreamId, u64)>, StoreError> {
    let parent_id = parent_id.map(|id| id.0);
    let key = NameKey::of(name);
    let row = tx
        .query_first(CATEGORY_HOLDER, &[&parent_id, &name, &key.as_str()])
        .await?;
    let read = |row: SqlRow| {
        Ok((
            category_stream(row.try_get::<_, Uuid>(0)?),
            u64::try_from(row.try_get::<_, i64>(1)?)?,
        ))
    };
    row.map(read)
        .transpose()
        .map_err(StoreError::row(CATEGORY_HOLDER.name))
}

/// False where the name is taken below that parent.
async fn insert(tx: &Tx, category: &Stored<Category>) -> Result<bool, StoreError> {
    let Stored { value, version } = category;
    let inserted = tx
        .execute(
            CATEGORY_INSERT,
            &[
                &value.id.0,
                &value.name,
                &value.parent_id.map(|id| id.0),
                &value.retired,
                &to_bigint(*version),
                &value.created_at,
                &value.updated_at,
                &NameKey::of(&value.name).as_str(),
            ],
        )
        .await?;
    Ok(inserted > 0)
}

/// A retired category holds no name.
fn found(row: &SqlRow) -> Result<SnapshotRow<Category>, RowError> {
    let stored = from_row(row)?;
    let key = TextKey {
        of: "name",
        own: NameKey::of(&stored.value.name).as_str().to_owned(),
        stored: row.try_get("name_key")?,
    };
    Ok(SnapshotRow {
        key: (!stored.value.retired).then_some(key),
        start: None,
        stored,
    })
}

fn from_row(row: &SqlRow) -> Result<Stored<Category>, RowError> {
    let value = Category {
        id: CategoryId(row.try_get("id")?),
        name: row.try_get("name")?,
        parent_id: row.try_get::<_, Option<Uuid>>("parent_id")?.map(CategoryId),
        retired: row.try_get("retired")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    };
    Ok(Stored {
        value,
        version: u64::try_from(row.try_get::<_, i64>("version")?)?,
    })
}
