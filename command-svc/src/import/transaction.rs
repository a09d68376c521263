//! A batch as one transaction: look, lock what has to change, write, append, commit.
//!
//! Locks come in the order of all commands: tree, products by id, inserts by sku, lanes. A batch is
//! there wholly or not at all. It may be tried any number of times, also after a commit whose
//! answer was lost: what is there already is unchanged. Where a line breaks it, it is halved.

use std::collections::HashMap;
use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::postgres::Fault;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::Meta;
use schemas::id::{CategoryId, ProductId};
use schemas::problem::{Problem, ProblemType};

use super::batch::{Batch, Entry};
use super::imported::Imported;
use super::plan::{BySku, Plan, is_unchanged, plan};
use super::tree::Grown;
use super::{Imports, metrics};
use crate::config::BATCH_ATTEMPT_TIMEOUT;
use crate::domain::category::{Category, CategoryRefusal};
use crate::domain::product::Product;
use crate::domain::text::{Sku, SkuKey};
use crate::store::import as rows;
use crate::store::tree::{TreeLock, lock_tree};
use crate::store::{
    self, AbortReason, Attempts, Changes, Repeat, StoreError, Stored, TransactionError, Tx, log,
};

/// Why a batch is given up within its transaction.
#[derive(Debug, thiserror::Error)]
enum Abort {
    #[error("insert products: another transaction has taken a sku")]
    SkuTaken,
    #[error("grow the tree of categories: {0:?}")]
    Tree(CategoryRefusal),
}

type Failure = TransactionError<Abort>;

/// One try to import a batch.
struct Transaction<'a> {
    imports: &'a Imports,
    tx: &'a Tx,
    meta: &'a Meta,
    batch: &'a Batch,
    at: DateTime<Utc>,
    deadline: Deadline,
}

/// Imports a batch, trying again within the budget. What cannot be imported is refused; a batch
/// with a line that breaks it is halved until that line is alone.
pub async fn import(imports: &Imports, meta: &Meta, batch: Batch, budget: Duration) -> Imported {
    let mut imported = Imported::default();
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        match import_within(imports, meta, &batch, Deadline::within(budget)).await {
            Ok(part) => imported.add(part),
            Err(error) if is_of_the_batch(&error) => match batch.split() {
                Ok((first, second)) => waiting.extend([second, first]),
                Err(line) => {
                    tracing::error!(error = %Chain(&error), "failed to import a line");
                    let detail =
                        "this line failed: the log has the reason under the id of the request";
                    imported.refuse(&line, &Problem::new(ProblemType::Internal, detail));
                }
            },
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "failed to import a batch in time");
                let detail = "the database did not answer in time: send this line again";
                let problem = Problem::new(ProblemType::DependencyUnavailable, detail);
                imported.refuse(&batch, &problem.retry_after_ms(1_000));
                imported.unavailable = true;
            }
        }
    }
    imported.answers.sort_by_key(|answered| answered.number);
    imported
}

async fn import_within(
    imports: &Imports,
    meta: &Meta,
    batch: &Batch,
    deadline: Deadline,
) -> Result<Imported, Failure> {
    let at = clock::now();
    let mut attempts = Attempts::new(deadline, Repeat::Idempotent, metrics::retried);
    loop {
        match attempt(
            imports,
            meta,
            batch,
            at,
            deadline.at_most(BATCH_ATTEMPT_TIMEOUT),
        )
        .await
        {
            Ok(mut imported) => {
                imported.refuse_unread(batch);
                return Ok(imported);
            }
            Err(failure) => attempts.again(failure).await?,
        }
    }
}

async fn attempt(
    imports: &Imports,
    meta: &Meta,
    batch: &Batch,
    at: DateTime<Utc>,
    deadline: Deadline,
) -> Result<Imported, Failure> {
    if batch.entries.is_empty() {
        return Ok(Imported::default());
    }
    let turn = deadline.run(imports.transactions.acquire()).await;
    let _turn = turn
        .map_err(|_| StoreError::Deadline)?
        .expect("turns are never closed");
    let tx = imports.database.borrow(deadline).await?;
    let transaction = Transaction {
        imports,
        tx: &tx,
        meta,
        batch,
        at,
        deadline,
    };
    let database = &imports.database;
    database.settle(&tx, deadline, transaction.run()).await
}

/// True where this batch would fail at any time.
fn is_of_the_batch(failure: &Failure) -> bool {
    match failure {
        Failure::Aborted(reason) => !reason.is_transient(),
        of_store => of_store.fault() == Some(Fault::Other) && !of_store.is_epoch_change(),
    }
}

impl AbortReason for Abort {
    fn label(&self) -> &'static str {
        match self {
            Self::SkuTaken => Fault::UniqueViolation.name(),
            Self::Tree(_) => Fault::Other.name(),
        }
    }

    fn is_transient(&self) -> bool {
        matches!(self, Self::SkuTaken)
    }
}

impl Transaction<'_> {
    async fn run(&self) -> Result<Imported, Failure> {
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
            .map(|entry| (&entry.line.sku, &entry.line.sku_key))
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
                products.contains_key(&entry.line.sku_key) || entry.line.can_create()
            });
        let nodes = decided.flat_map(|entry| entry.categories.iter().copied());
        let tree = &self.batch.tree;
        let grown = tree
            .grow(&found, &tree.with_ancestors(nodes), new_id, self.at)
            .map_err(|refusal| Failure::Aborted(Abort::Tree(refusal)))?;
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
        self.write(plan).await
    }

    /// Makes the missing categories, and reads those products again, locked, that will change.
    async fn lock_what_changes(&self, grown: &Grown, mut known: BySku) -> Result<BySku, Failure> {
        let changing = |entry: &Entry| {
            let product = known.get(&entry.line.sku_key)?;
            (!is_unchanged(entry, product, grown, self.at)).then_some(product.value.id)
        };
        let ids: Vec<ProductId> = self.batch.entries.iter().filter_map(changing).collect();
        let tx = self.tx;
        let tree = Changes::of::<Category>(None, grown.events.iter().cloned());
        let created = tree.created();
        if ids.is_empty() {
            rows::insert_categories(tx, &created).await?;
            return Ok(known);
        }
        let ((), locked) = try_join!(
            rows::insert_categories(tx, &created),
            store::product::lock(tx, &ids),
        )?;
        let mut locked: HashMap<ProductId, Stored<Product>> = locked
            .into_iter()
            .map(|product| (product.value.id, product))
            .collect();
        for product in known.values_mut() {
            if let Some(locked) = locked.remove(&product.value.id) {
                *product = locked;
            }
        }
        Ok(known)
    }

    async fn write(&self, plan: Plan) -> Result<Imported, Failure> {
        let (tx, changes) = (self.tx, &plan.changes);
        let created = changes.created::<Product>();
        let inserted = store::product::insert(tx, &created).await?;
        if inserted.len() < created.len() {
            return Err(Failure::Aborted(Abort::SkuTaken));
        }
        let (batch, metas) = (changes.batch(), [self.meta]);
        let epoch = self.imports.database.epoch();
        let ((), appended, (), released) = try_join!(
            changes.write(tx),
            log::append_timed(tx, epoch, &batch, &metas, None, self.deadline),
            tx.commit(),
            rows::clock(tx),
        )?;
        let positions = appended.positions;
        self.imports.database.committed(&positions);
        let held = appended
            .lanes_taken_at
            .and_then(|taken| (released - taken).to_std().ok());
        metrics::committed(plan.answers.len(), held);
        Ok(Imported {
            pace: held.map(|held| (plan.written(), held)),
            answers: plan.answers,
            positions,
            unavailable: false,
        })
    }
}
