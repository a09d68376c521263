//! One try to execute a command: open, decide, finish; two round trips where all goes well, three
//! with an idempotency key.

use chassis::clock::Deadline;
use chassis::postgres::Fault;
use chrono::{DateTime, Utc};
use futures::try_join;

use super::decision::Decision;
use super::{Answer, Command, Commands, Context, ExecuteError, Outcome, category, product, stock};
use crate::store::idempotency::{self, IdempotencyKey, Kept};
use crate::store::{StoreError, Stored, Tx, log};

pub(super) struct Attempt<'a> {
    pub commands: &'a Commands,
    pub command: &'a Command,
    pub context: &'a Context,
    /// When the command happens: the same in every try.
    pub at: DateTime<Utc>,
}

/// Why a try came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    Store {
        error: StoreError,
        /// The connection was lost between COMMIT and its answer.
        unknown: bool,
    },
    /// A kept answer was removed between the claim and its reading.
    KeyExpired,
    KeyReused,
    Kept(serde_json::Error),
}

enum Loaded {
    Category(category::Loaded),
    Product(product::Loaded),
    Stock(Option<Stored<crate::domain::stock::Stock>>),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store {
            error,
            unknown: false,
        }
    }
}

impl Attempt<'_> {
    pub async fn run(&self) -> Result<Outcome, Failure> {
        let deadline = self.context.deadline;
        let tx = self.commands.database().borrow(deadline).await?;
        settle(&tx, deadline, self.transact(&tx)).await
    }

    async fn transact(&self, tx: &Tx) -> Result<Outcome, Failure> {
        let key = self.context.key.as_ref();
        let loaded = match key {
            // Claimed before anything else is locked: a replay waits for nobody.
            Some(key) => {
                let ((), claimed) = try_join!(tx.begin(), idempotency::claim(tx, key))?;
                if !claimed {
                    return replay(tx, key).await;
                }
                self.load(tx).await?
            }
            None => try_join!(tx.begin(), self.load(tx))?.1,
        };
        let decision = self.decide(tx, loaded).await?;
        Ok(self.finish(tx, decision).await?)
    }

    async fn load(&self, tx: &Tx) -> Result<Loaded, StoreError> {
        Ok(match self.command {
            Command::Category(id, command) => {
                Loaded::Category(category::load(tx, *id, command).await?)
            }
            Command::Product(id, command) => {
                Loaded::Product(product::load(tx, *id, command).await?)
            }
            Command::Stock(id, _) => Loaded::Stock(stock::load(tx, *id).await?),
        })
    }

    async fn decide(&self, tx: &Tx, loaded: Loaded) -> Result<Decision, StoreError> {
        let (expected, at) = (&self.context.expected, self.at);
        match (self.command, loaded) {
            (Command::Category(_, command), Loaded::Category(loaded)) => {
                category::decide(tx, loaded, command, expected, at).await
            }
            (Command::Product(_, command), Loaded::Product(loaded)) => {
                product::decide(tx, loaded, command, expected, at).await
            }
            (Command::Stock(_, command), Loaded::Stock(loaded)) => {
                Ok(stock::decide(loaded, command, expected, at))
            }
            _ => unreachable!("a command is decided on what was loaded for it"),
        }
    }

    async fn finish(&self, tx: &Tx, decision: Decision) -> Result<Outcome, StoreError> {
        let Decision {
            answer,
            batch,
            rows,
            mut positions,
            streams,
        } = decision;
        let key = self.context.key.as_ref().filter(|_| answer.is_kept());
        if key.is_none() && batch.is_empty() {
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
        let kept = key.map(|key| (key, answer.to_value(), answer.clone().into_sent(path)));
        let keep = kept.as_ref().map(|(key, typed, sent)| log::Keep {
            key,
            sent,
            typed,
            decided_on: &positions,
        });
        let database = self.commands.database();
        let (epoch, metas) = (database.epoch(), [&self.context.meta]);
        let deadline = self.context.deadline;
        let append = log::append(tx, epoch, &batch, &metas, keep.as_ref(), deadline);
        let ((), appended, ()) = try_join!(rows.write(tx), append, tx.commit())?;
        database.committed(&appended);
        positions.extend(appended);
        Ok(Outcome {
            answer,
            positions,
            appended: !batch.is_empty(),
            replayed: false,
        })
    }
}

/// Runs a transaction to its end; where it fails, ends it and tells whether it may have committed.
pub(super) async fn settle<T>(
    tx: &Tx,
    deadline: Deadline,
    transaction: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let ran = deadline.run(transaction).await;
    let failure = match ran.unwrap_or(Err(StoreError::Deadline.into())) {
        Ok(done) => return Ok(done),
        Err(failure) => failure,
    };
    let was_committing = tx.is_committing();
    let is_lost = failure.fault().is_unavailable();
    if !is_lost {
        // Where this fails too, the connection is closed: see `Tx`.
        let _ = deadline.run(tx.rollback()).await;
    }
    match failure {
        Failure::Store { error, .. } => {
            let is_ended = error.is_from_server() && !is_lost;
            let unknown = was_committing && !is_ended;
            Err(Failure::Store { error, unknown })
        }
        other => Err(other),
    }
}

async fn replay(tx: &Tx, key: &IdempotencyKey) -> Result<Outcome, Failure> {
    let (kept, ()) = try_join!(idempotency::kept(tx, key), tx.rollback())?;
    let kept = kept.ok_or(Failure::KeyExpired)?;
    if kept.fingerprint != key.fingerprint {
        return Err(Failure::KeyReused);
    }
    let answer = match kept.answer {
        Kept::Sent(sent) => Answer::Kept(sent),
        Kept::Typed(answer) => serde_json::from_value(answer).map_err(Failure::Kept)?,
    };
    Ok(Outcome {
        answer,
        positions: kept.positions,
        appended: false,
        replayed: true,
    })
}

impl Failure {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store { error, .. } => error.fault(),
            Self::KeyExpired => Fault::Serialization,
            Self::KeyReused | Self::Kept(_) => Fault::Other,
        }
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Store { unknown: true, .. })
    }

    /// Nothing was committed and the same may succeed in a moment; or, with a key, asking again
    /// tells whether it was committed.
    pub fn is_worth_trying(&self, has_key: bool, may_reconnect: bool) -> bool {
        if self.is_unknown() {
            return has_key;
        }
        let fault = self.fault();
        fault.is_transient() || (fault == Fault::ConnectionLost && may_reconnect)
    }

    pub fn into_error(self, unknown: bool) -> ExecuteError {
        match self {
            Self::KeyReused => ExecuteError::KeyReused,
            Self::Kept(error) => ExecuteError::Kept(error),
            Self::KeyExpired => ExecuteError::Busy(StoreError::Deadline),
            Self::Store { error, .. } if unknown => ExecuteError::OutcomeUnknown(error),
            Self::Store { error, .. } if error.is_epoch_change() => {
                ExecuteError::HistoryChanged(error)
            }
            Self::Store { error, .. } => match error.fault() {
                Fault::ConnectionLost => ExecuteError::Unavailable(error),
                fault if fault.is_transient() || fault == Fault::Timeout => {
                    ExecuteError::Busy(error)
                }
                _ => ExecuteError::Failed(error),
            },
        }
    }
}
