//! A batch as one transaction: look, lock what has to change, write, append, commit.
//!
//! Locks come in the order of all commands: tree, products by id, inserts by sku, lanes. A batch is
//! there wholly or not at all, and may be tried any number of times: what is there is unchanged.

use std::time::Duration;

use backon::BackoffBuilder;
use chassis::clock::{self, Deadline};
use chassis::postgres::Fault;
use chassis::retry;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::Meta;
use schemas::id::{CategoryId, ProductId};
use schemas::lane::Position;
use schemas::problem::{Problem, ProblemType};

use super::batch::{Batch, Entry};
use super::plan::{Answered, BySku, Plan, is_unchanged, plan};
use super::tree::Grown;
use super::{Imports, metrics};
use crate::domain::product::Product;
use crate::store::category::{TreeLock, lock_tree};
use crate::store::import as rows;
use crate::store::{self, StoreError, Stored, Tx, log};

/// One try, waiting for a connection included.
const ATTEMPT: Duration = Duration::from_secs(10);

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
enum AttemptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else made a product of these skus meanwhile.
    #[error("make products whose skus were taken meanwhile")]
    Taken,
    #[error("grow the tree of categories: {0:?}")]
    Tree(crate::domain::Refusal),
}

impl AttemptError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Taken => Fault::UniqueViolation,
            Self::Tree(_) => Fault::Other,
        }
    }
}

/// Imports a batch, trying again within the budget. What cannot be imported is refused; a batch
/// with a line that breaks it is halved until that line stands alone.
pub async fn import(imports: &Imports, meta: &Meta, batch: Batch, budget: Duration) -> Imported {
    let mut imported = Imported::default();
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        match import_within(imports, meta, &batch, Deadline::within(budget)).await {
            Ok(part) => imported.add(part),
            Err(error) if error.fault() == Fault::Other => match batch.split() {
                Ok((first, second)) => waiting.extend([second, first]),
                Err(line) => {
                    tracing::error!(error = %Chain(&error), "a line could not be imported");
                    let detail = "the failure of this line was logged under the request's id";
                    imported.refuse(&line, &Problem::new(ProblemType::Internal, detail));
                }
            },
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a batch could not be imported in time");
                let detail = "the database could not take this line in time: send it again";
                let problem = Problem::new(ProblemType::DependencyUnavailable, detail);
                imported.refuse(&batch, &problem.retry_after_ms(1_000));
                imported.unavailable = true;
            }
        }
    }
    imported.answers.sort_by_key(|answered| answered.number);
    imported
}

impl Imported {
    fn add(&mut self, part: Self) {
        self.answers.extend(part.answers);
        self.positions.extend(part.positions);
        self.pace = part.pace.or(self.pace);
    }

    fn refuse(&mut self, batch: &Batch, problem: &Problem) {
        let refused = |entry: &Entry| Answered::refused(entry.number, problem.clone());
        self.answers.extend(batch.entries.iter().map(refused));
        self.refuse_unread(batch);
    }

    fn refuse_unread(&mut self, batch: &Batch) {
        let unread = batch.refused.iter();
        let refused =
            |(number, problem): &(u64, Problem)| Answered::refused(*number, problem.clone());
        self.answers.extend(unread.map(refused));
    }
}

async fn import_within(
    imports: &Imports,
    meta: &Meta,
    batch: &Batch,
    deadline: Deadline,
) -> Result<Imported, AttemptError> {
    let at = clock::now();
    let mut pauses = retry::within(deadline).build();
    loop {
        let error = match attempt(imports, meta, batch, at, deadline.at_most(ATTEMPT)).await {
            Ok(mut imported) => {
                imported.refuse_unread(batch);
                return Ok(imported);
            }
            Err(error) => error,
        };
        if let AttemptError::Store(error) = &error
            && error.is_epoch_change()
        {
            imports.commands.end_of_history();
        }
        let pause = pauses.next().filter(|pause| *pause < deadline.remaining());
        match pause.filter(|_| error.fault() != Fault::Other) {
            Some(pause) => {
                metrics::retried(error.fault());
                tokio::time::sleep(pause).await;
            }
            None => return Err(error),
        }
    }
}

async fn attempt(
    imports: &Imports,
    meta: &Meta,
    batch: &Batch,
    at: DateTime<Utc>,
    deadline: Deadline,
) -> Result<Imported, AttemptError> {
    if batch.entries.is_empty() {
        return Ok(Imported::default());
    }
    let turn = deadline.run(imports.transactions.acquire()).await;
    let _turn = turn
        .map_err(|_| StoreError::Deadline)?
        .expect("turns are never closed");
    let tx = store::borrow(imports.commands.pool(), deadline).await?;
    let transaction = Transaction {
        imports,
        tx: &tx,
        meta,
        batch,
        at,
    };
    let ran = deadline.run(transaction.run()).await;
    let ran = ran.unwrap_or(Err(StoreError::Deadline.into()));
    if let Err(error) = &ran
        && !error.fault().is_unavailable()
    {
        // Where this fails too, the connection is closed: see `Tx`.
        let _ = deadline.run(tx.rollback()).await;
    }
    ran
}

struct Transaction<'a> {
    imports: &'a Imports,
    tx: &'a Tx,
    meta: &'a Meta,
    batch: &'a Batch,
    at: DateTime<Utc>,
}

impl Transaction<'_> {
    async fn run(&self) -> Result<Imported, AttemptError> {
        let tx = self.tx;
        let nodes: Vec<rows::NameNode> = self
            .batch
            .tree
            .nodes()
            .iter()
            .map(|node| (node.parent, node.name.as_str()))
            .collect();
        let skus: Vec<&str> = self
            .batch
            .entries
            .iter()
            .map(|entry| entry.wish.sku.as_str())
            .collect();
        let ((), (), found, products) = try_join!(
            tx.begin(),
            lock_tree(tx, TreeLock::Shared),
            rows::categories(tx, &nodes),
            rows::products(tx, &skus),
        )?;
        let new_id = || CategoryId(clock::new_id());
        let grown = self
            .batch
            .tree
            .grow(&found, new_id, self.at)
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
        products: Vec<Stored<Product>>,
    ) -> Result<BySku, AttemptError> {
        let mut known: BySku = products
            .into_iter()
            .map(|product| (product.value.sku.clone(), product))
            .collect();
        let changes = |entry: &&Entry| {
            let product = known.get(entry.wish.sku.as_str());
            product.is_some_and(|product| !is_unchanged(entry, product, grown, self.at))
        };
        let changing = self.batch.entries.iter().filter(changes);
        let ids: Vec<ProductId> = changing
            .map(|entry| known[entry.wish.sku.as_str()].value.id)
            .collect();
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
        for mut product in locked {
            product.value.category_ids = categories.remove(&product.value.id).unwrap_or_default();
            known.insert(product.value.sku.clone(), product);
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
        let epoch = self.imports.commands.epoch();
        let ((), appended, (), released) = try_join!(
            self.write_beside(&plan),
            log::append_timed(tx, epoch, &log, self.meta, None),
            tx.commit(),
            rows::clock(tx),
        )?;
        let positions = appended.positions;
        self.imports.commands.committed(&positions);
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
