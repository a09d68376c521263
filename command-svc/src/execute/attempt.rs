//! One try to execute a command: open, decide, finish; two round trips where all goes well, three
//! with an idempotency key.

use chassis::postgres::Fault;
use chrono::{DateTime, Utc};
use futures::try_join;

use super::decision::{Decision, decide};
use super::{Answer, Context, ExecuteError, Outcome, Resource, typed_answer};
use crate::domain::Aggregate;
use crate::store::idempotency::{self, IdempotencyKey, Kept};
use crate::store::{AbortReason, Database, StoreError, TransactionError, Tx, log};

pub(super) struct Attempt<'a, A: Aggregate> {
    pub database: &'a Database,
    pub id: A::Id,
    pub command: &'a A::Command,
    pub context: &'a Context,
    /// When the command happens: the same in every try.
    pub at: DateTime<Utc>,
}

/// Why a command is given up within its transaction.
#[derive(Debug, thiserror::Error)]
pub(super) enum Abort {
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the answer under the idempotency key was removed before it was read")]
    KeyExpired,
    #[error("read the answer kept under the idempotency key")]
    Kept(#[source] serde_json::Error),
}

type Failure = TransactionError<Abort>;

impl<A: Resource> Attempt<'_, A> {
    pub async fn run(&self) -> Result<Outcome, Failure> {
        let (database, deadline) = (self.database, self.context.deadline);
        let tx = database.borrow(deadline).await?;
        database.settle(&tx, deadline, self.transact(&tx)).await
    }

    async fn transact(&self, tx: &Tx) -> Result<Outcome, Failure> {
        let key = self.context.key.as_ref();
        let load = A::load(tx, self.id, self.command);
        let loaded = match key {
            // Claimed before anything else is locked: a replay waits for no other lock.
            Some(key) => {
                let ((), claimed) = try_join!(tx.begin(), idempotency::claim(tx, key))?;
                if !claimed {
                    return replay(tx, key).await;
                }
                load.await?
            }
            None => try_join!(tx.begin(), load)?.1,
        };
        let expected = &self.context.expected;
        let decision = decide(tx, loaded, self.command, expected, self.at).await?;
        Ok(self.finish(tx, decision).await?)
    }

    async fn finish(&self, tx: &Tx, decision: Decision) -> Result<Outcome, StoreError> {
        let Decision {
            answer,
            keeps_key,
            changes,
            mut positions,
            streams,
        } = decision;
        let key = self.context.key.as_ref().filter(|_| keeps_key);
        if key.is_none() && changes.is_empty() {
            let (found, ()) = try_join!(log::positions(tx, &streams), tx.rollback())?;
            positions.extend(found);
            return Ok(Outcome {
                answer,
                positions,
                appended: false,
                replayed: false,
            });
        }
        positions.extend(log::positions(tx, &streams).await?);
        let path = &self.context.path;
        let kept = key.map(|key| {
            let typed = typed_answer::write(&answer);
            (key, typed, answer.clone().into_sent(path))
        });
        let keep = kept.as_ref().map(|(key, typed, sent)| log::Keep {
            key,
            sent,
            typed,
            decided_on: &positions,
        });
        let (epoch, metas) = (self.database.epoch(), [&self.context.meta]);
        let deadline = self.context.deadline;
        let batch = changes.batch();
        let append = log::append(tx, epoch, &batch, &metas, keep.as_ref(), deadline);
        let ((), appended, ()) = try_join!(changes.write(tx), append, tx.commit())?;
        self.database.committed(&appended);
        positions.extend(appended);
        Ok(Outcome {
            answer,
            positions,
            appended: !batch.is_empty(),
            replayed: false,
        })
    }
}

async fn replay(tx: &Tx, key: &IdempotencyKey) -> Result<Outcome, Failure> {
    let (kept, ()) = try_join!(idempotency::kept(tx, key), tx.rollback())?;
    let kept = kept.ok_or(Failure::Aborted(Abort::KeyExpired))?;
    if kept.fingerprint != key.fingerprint {
        return Err(Failure::Aborted(Abort::KeyReused));
    }
    let answer = match kept.answer {
        Kept::Sent(sent) => Answer::Kept(sent),
        Kept::Typed(answer) => {
            typed_answer::read(answer).map_err(|error| Failure::Aborted(Abort::Kept(error)))?
        }
    };
    Ok(Outcome {
        answer,
        positions: kept.positions,
        appended: false,
        replayed: true,
    })
}

impl AbortReason for Abort {
    fn label(&self) -> &'static str {
        match self {
            Self::KeyReused => "key_reused",
            Self::KeyExpired => "key_expired",
            Self::Kept(_) => "kept",
        }
    }

    /// The next try claims a key that is free by now.
    fn is_transient(&self) -> bool {
        matches!(self, Self::KeyExpired)
    }
}

impl From<Failure> for ExecuteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Aborted(Abort::KeyReused) => Self::KeyReused,
            Failure::Aborted(Abort::KeyExpired) => Self::KeyExpired,
            Failure::Aborted(Abort::Kept(error)) => Self::Kept(error),
            Failure::Unknown(error) => Self::OutcomeUnknown(error),
            Failure::Store(error) if error.is_epoch_change() => Self::HistoryChanged(error),
            Failure::Store(error) => match error.fault() {
                Fault::ConnectionLost => Self::Unavailable(error),
                fault if fault.is_transient() || fault == Fault::Timeout => Self::Busy(error),
                _ => Self::Failed(error),
            },
        }
    }
}
