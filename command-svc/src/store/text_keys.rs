//! Keys of rows that have none: written before there were keys, or by a release without them.
//!
//! A step of starting, under the lock of migrations and before commands are accepted. It goes on
//! where it was broken off: pages are committed one by one. Where keys collide, the older row has
//! it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, GenericClient, Row, Transaction};
use uuid::Uuid;

use super::Statement;
use super::statement::{
    CATEGORY_KEYS, CATEGORY_LOCK_TREE, CATEGORY_SET_KEYS, PRODUCT_KEY_HOLDERS, PRODUCT_SET_KEYS,
    PRODUCT_WITHOUT_KEY,
};
use super::tree::TREE;
use crate::config::KEY_PAGE_ROWS;
use crate::domain::text::{NameKey, SkuKey, given_way};

type SqlError = tokio_postgres::Error;

/// A row as far as its key goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keyed {
    id: Uuid,
    created_at: DateTime<Utc>,
    /// Within which keys are unique: the parent of a category.
    scope: Option<Uuid>,
    text: String,
    /// The key of its text, if no other row had it.
    own: String,
    stored: Option<String>,
}

/// Gives a key to every product, and the right one to every living category.
pub async fn complete(client: &mut Client) -> Result<(), SqlError> {
    let mut after = String::new();
    while let Some(last) = complete_page(client, &after).await? {
        after = last;
    }
    if changes(categories(client).await?).is_empty() {
        return Ok(());
    }
    let tx = client.transaction().await?;
    tx.query(CATEGORY_LOCK_TREE.text, &[&TREE]).await?;
    let changes = changes(categories(&tx).await?);
    set(&tx, CATEGORY_SET_KEYS, changes).await?;
    tx.commit().await
}

/// Returns the last sku of the page; none after the last page.
async fn complete_page(client: &mut Client, after: &str) -> Result<Option<String>, SqlError> {
    let tx = client.transaction().await?;
    let rows = tx
        .query(PRODUCT_WITHOUT_KEY.text, &[&after, &KEY_PAGE_ROWS])
        .await?;
    let mut products = rows.iter().map(product).collect::<Result<Vec<_>, _>>()?;
    let Some(last) = products.last().map(|product| product.text.clone()) else {
        return Ok(None);
    };
    let keys: BTreeSet<&str> = products
        .iter()
        .map(|product| product.own.as_str())
        .collect();
    let keys = Vec::from_iter(keys);
    let holders = tx.query(PRODUCT_KEY_HOLDERS.text, &[&keys]).await?;
    let holders = holders.iter().map(product).collect::<Result<Vec<_>, _>>()?;
    products.extend(holders);
    set(&tx, PRODUCT_SET_KEYS, changes(products)).await?;
    tx.commit().await?;
    Ok(Some(last))
}

async fn categories(client: &impl GenericClient) -> Result<Vec<Keyed>, SqlError> {
    let rows = client.query(CATEGORY_KEYS.text, &[]).await?;
    rows.iter().map(category).collect()
}

fn product(row: &Row) -> Result<Keyed, SqlError> {
    let sku: String = row.try_get("sku")?;
    Ok(Keyed {
        id: row.try_get("id")?,
        created_at: row.try_get("created_at")?,
        scope: None,
        own: SkuKey::of(&sku).as_str().to_owned(),
        text: sku,
        stored: row.try_get("sku_key")?,
    })
}

fn category(row: &Row) -> Result<Keyed, SqlError> {
    let name: String = row.try_get("name")?;
    Ok(Keyed {
        id: row.try_get("id")?,
        created_at: row.try_get("created_at")?,
        scope: row.try_get("parent_id")?,
        own: NameKey::of(&name).to_string(),
        text: name,
        stored: row.try_get("name_key")?,
    })
}

/// Rows that lose their key come before those that get it: keys are unique at every moment.
async fn set(tx: &Transaction<'_>, statement: Statement, changes: Changes) -> Result<(), SqlError> {
    for changes in [changes.giving_way, changes.holding] {
        if !changes.is_empty() {
            let (ids, keys): (Vec<Uuid>, Vec<String>) = changes.into_iter().unzip();
            tx.execute(statement.text, &[&ids, &keys]).await?;
        }
    }
    Ok(())
}

/// Rows by id, with the keys that they have to have and do not have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    giving_way: BTreeMap<Uuid, String>,
    holding: BTreeMap<Uuid, String>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.giving_way.is_empty() && self.holding.is_empty()
    }
}

/// Of rows among which are all that have or want one of these keys. Pure.
fn changes(mut rows: Vec<Keyed>) -> Changes {
    rows.sort_by_key(|row| (row.created_at, row.id));
    let mut taken = BTreeSet::new();
    let mut changes = Changes::default();
    for row in rows {
        let is_oldest = taken.insert((row.scope, row.own.clone()));
        let (key, group) = if is_oldest {
            (row.own, &mut changes.holding)
        } else {
            (given_way(&row.own, row.id), &mut changes.giving_way)
        };
        if row.stored.as_ref() != Some(&key) {
            group.insert(row.id, key);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u128, created_at: i64, sku: &str) -> Keyed {
        Keyed {
            id: Uuid::from_u128(id),
            created_at: DateTime::UNIX_EPOCH + chrono::Duration::seconds(created_at),
            scope: None,
            text: sku.to_owned(),
            own: SkuKey::of(sku).as_str().to_owned(),
            stored: None,
        }
    }

    fn keys(changes: &BTreeMap<Uuid, String>) -> Vec<(u128, &str)> {
        changes
            .iter()
            .map(|(id, key)| (id.as_u128(), key.as_str()))
            .collect()
    }

    #[test]
    fn of_rows_with_one_key_the_oldest_has_it() {
        let changes = changes(vec![row(1, 9, "ab"), row(2, 5, "AB"), row(3, 7, "x")]);
        assert_eq!(keys(&changes.holding), [(2, "ab"), (3, "x")]);
        let given_way = given_way("ab", Uuid::from_u128(1));
        assert_eq!(keys(&changes.giving_way), [(1, given_way.as_str())]);
    }

    #[test]
    fn an_older_row_takes_the_key_of_a_younger_one() {
        let mut younger = row(1, 9, "ab");
        younger.stored = Some("ab".to_owned());
        let changes = changes(vec![younger, row(2, 5, "AB")]);
        assert_eq!(keys(&changes.holding), [(2, "ab")]);
        assert_eq!(changes.giving_way.len(), 1);
    }

    #[test]
    fn rows_with_their_keys_stay_as_they_are() {
        let mut older = row(1, 1, "ab");
        older.stored = Some("ab".to_owned());
        let mut younger = row(2, 2, "AB");
        younger.stored = Some(given_way("ab", younger.id));
        assert!(changes(vec![younger, older]).is_empty());
    }

    #[test]
    fn keys_are_unique_within_their_scope_alone() {
        let mut below = row(1, 1, "ab");
        below.scope = Some(Uuid::from_u128(7));
        let changes = changes(vec![below, row(2, 2, "ab")]);
        assert!(changes.giving_way.is_empty() && changes.holding.len() == 2);
    }
}
