//! A batch as one transaction: look, lock what has to change, write, append, commit.
//!
//! Locks come in the order of all commands: tree, products by id, inserts by sku, lanes. A batch is
//! there wholly or not at all.

use std::collections::HashMap;
use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::postgres::Fault;
use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::Meta;
use schemas::id::{CategoryId, ProductId};
use schemas::lane::Position;

use super::batch::{Batch, Entry};
use super::plan::{Answered, BySku, Plan, is_unchanged, plan};
use super::tree::Grown;
use super::{Imports, metrics};
use crate::domain::product::Product;
use crate::domain::text::{Sku, SkuKey};
use crate::store::category::{TreeLock, lock_tree};
use crate::store::import as rows;
use crate::store::{self, StoreError, Stored, Tx, log};

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Imported {
    /// In the order of lines.
    pub answers: Vec<Answered>,
    pub positions: Vec<Position>,
    /// Products written, and how long the lanes were held for them.
    pub pace: Option<(usize, Duration)>,
    /// The database could not be reached in time.
    pub unavailable: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else made a product of these skus meanwhile.
    #[error("make products whose skus were taken meanwhile")]
    Taken,
    #[error("grow the tree of categories: {0:?}")]
    Tree(crate::domain::Refusal),
}

impl AttemptError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Taken => Fault::UniqueViolation,
            Self::Tree(_) => Fault::Other,
        }
    }

    /// True where this batch would fail at any time.
    pub fn is_of_the_batch(&self) -> bool {
        self.fault() == Fault::Other && !self.is_epoch_change()
    }

    pub fn is_epoch_change(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_epoch_change())
    }
}

pub struct Transaction<'a> {
    pub imports: &'a Imports,
    pub tx: &'a Tx,
    pub meta: &'a Meta,
    pub batch: &'a Batch,
    pub at: DateTime<Utc>,
    pub deadline: Deadline,
}

impl Transaction<'_> {
    pub async fn run(&self) -> Result<Imported, AttemptError> {
        let tx = self.tx;
        let nodes: Vec<rows::NameNode> = self
            .batch
            .tree
            .nodes()
            .iter()
            .map(|node| rows::NameNode {
                parent: node.parent,
                name: node.name.as_str(),
                key: &node.key,
            })
            .collect();
        let skus: Vec<(&Sku, &SkuKey)> = self
            .batch
            .entries
            .iter()
            .map(|entry| (&entry.wish.sku, &entry.wish.sku_key))
            .collect();
        let ((), (), found, products) = try_join!(
            tx.begin(),
            lock_tree(tx, TreeLock::Shared),
            rows::categories(tx, &nodes),
            rows::products(tx, &skus),
        )?;
        let new_id = || CategoryId(clock::new_id());
        let decided =
            self.batch.entries.iter().filter(|entry| {
                products.contains_key(&entry.wish.sku_key) || entry.wish.can_create()
            });
        let nodes = decided.flat_map(|entry| entry.categories.iter().copied());
        let tree = &self.batch.tree;
        let grown = tree
            .grow(&found, &tree.with_ancestors(nodes), new_id, self.at)
            .map_err(AttemptError::Tree)?;
        let known = self.lock_what_changes(&grown, products).await?;
        let plan = plan(&self.batch.entries, known, &grown, self.at);
        if plan.is_empty() {
            tx.commit().await?;
            metrics::committed(plan.answers.len(), None);
            return Ok(Imported {
                answers: plan.answers,
                ..Imported::default()
            });
        }
        self.write(&grown, plan).await
    }

    /// Makes the missing categories, and reads those products again, locked, that will change.
    async fn lock_what_changes(
        &self,
        grown: &Grown,
        mut known: BySku,
    ) -> Result<BySku, AttemptError> {
        let changing = |entry: &Entry| {
            let product = known.get(&entry.wish.sku_key)?;
            (!is_unchanged(entry, product, grown, self.at)).then_some(product.value.id)
        };
        let ids: Vec<ProductId> = self.batch.entries.iter().filter_map(changing).collect();
        let (tx, created) = (self.tx, &grown.created);
        if ids.is_empty() {
            rows::insert_categories(tx, created).await?;
            return Ok(known);
        }
        let ((), locked, mut categories) = try_join!(
            rows::insert_categories(tx, created),
            store::product::lock(tx, &ids),
            store::product::category_ids(tx, &ids),
        )?;
        let mut locked: HashMap<ProductId, Stored<Product>> = locked
            .into_iter()
            .map(|product| (product.value.id, product))
            .collect();
        for product in known.values_mut() {
            if let Some(mut locked) = locked.remove(&product.value.id) {
                locked.value.category_ids = categories.remove(&locked.value.id).unwrap_or_default();
                *product = locked;
            }
        }
        Ok(known)
    }

    async fn write(&self, grown: &Grown, plan: Plan) -> Result<Imported, AttemptError> {
        let tx = self.tx;
        let created: Vec<&Stored<Product>> = plan.created.iter().collect();
        let inserted = store::product::insert(tx, &created).await?;
        if inserted.len() < created.len() {
            return Err(AttemptError::Taken);
        }
        let mut log = log::Batch::default();
        for (version, event) in &plan.events {
            log.push(*version, event);
        }
        let (epoch, metas) = (self.imports.database.epoch(), [self.meta]);
        let ((), appended, (), released) = try_join!(
            self.write_beside(&plan),
            log::append_timed(tx, epoch, &log, &metas, None, self.deadline),
            tx.commit(),
            rows::clock(tx),
        )?;
        let positions = appended.positions;
        self.imports.database.committed(&positions);
        let held = appended
            .lanes_taken_at
            .and_then(|taken| (released - taken).to_std().ok());
        metrics::committed(plan.answers.len(), held);
        let written = plan.written() + grown.created.len();
        let pace = held.map(|held| (written, held));
        Ok(Imported {
            answers: plan.answers,
            positions,
            pace,
            unavailable: false,
        })
    }

    /// All rows but those of new products, which come first.
    async fn write_beside(&self, plan: &Plan) -> Result<(), StoreError> {
        let tx = self.tx;
        let created: Vec<&Product> = plan.created.iter().map(|stored| &stored.value).collect();
        let stocks: Vec<_> = plan.stocks.iter().collect();
        let updated: Vec<&Stored<Product>> = plan.updated.iter().collect();
        let recategorized: Vec<&Product> = plan
            .updated
            .iter()
            .map(|stored| &stored.value)
            .filter(|product| plan.recategorized.contains(&product.id))
            .collect();
        try_join!(
            store::product::insert_categories(tx, &created),
            store::stock::insert(tx, &stocks),
            store::product::update(tx, &updated),
            store::product::replace_categories(tx, &recategorized),
        )
        .map(|_| ())
    }
}
