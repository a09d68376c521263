//! A batch until it is through or refused: tries within a budget, halves where a line breaks it.
//!
//! A batch may be tried any number of times, also after a commit whose answer was lost: what is
//! there already is unchanged.

use std::time::Duration;

use backon::BackoffBuilder;
use chassis::clock::{self, Deadline};
use chassis::postgres::Fault;
use chassis::retry;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use schemas::event::Meta;
use schemas::problem::{Problem, ProblemType};

use super::batch::{Batch, Entry};
use super::plan::Answered;
use super::transaction::{AttemptError, Imported, Transaction};
use super::{Imports, metrics};
use crate::store::StoreError;

/// One try, waiting for a connection included.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Imports a batch, trying again within the budget. What cannot be imported is refused; a batch
/// with a line that breaks it is halved until that line stands alone.
pub async fn import(imports: &Imports, meta: &Meta, batch: Batch, budget: Duration) -> Imported {
    let mut imported = Imported::default();
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        match import_within(imports, meta, &batch, Deadline::within(budget)).await {
            Ok(part) => imported.add(part),
            Err(error) if error.is_of_the_batch() => match batch.split() {
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
        if error.is_epoch_change() {
            imports.database.end_of_history();
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
    let tx = imports.database.borrow(deadline).await?;
    let transaction = Transaction {
        imports,
        tx: &tx,
        meta,
        batch,
        at,
        deadline,
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
