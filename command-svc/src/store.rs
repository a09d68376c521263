//! PostgreSQL: transactions, all SQL of the write side, rows to states and back.
//!
//! Futures of one `Tx` that are polled together (`futures::try_join!` polls in order) travel in one
//! round trip and run in that order. That holds only because every statement is prepared before
//! (`Database::borrow` sees to it): one that has to be prepared first would be overtaken by its
//! successors.

use std::sync::Arc;

use chassis::postgres::{self, Fault};
use deadpool_postgres::PoolError;
use schemas::lane::LaneOutOfRange;
use tokio_postgres::Error as SqlError;

pub mod category;
pub mod changes;
pub mod epoch;
pub mod idempotency;
pub mod import;
pub mod log;
pub mod migration;
pub mod product;
pub mod snapshot;
pub mod statement;
pub mod stock;
pub mod tree;

mod database;
mod persisted;
mod table;
mod text_keys;
mod transaction;
mod tx;

pub use changes::{Changes, EachTable, Tracked, Wanted, each_table};
pub use database::{CommitHint, Database};
pub use persisted::{Basis, Loaded, Persisted, SnapshotRow, Taken, TextKey};
pub use statement::Statement;
pub use table::{Row, Table};
pub use transaction::{AbortReason, Attempts, Repeat, TransactionError};
pub use tx::Tx;

/// SQLSTATE of `append` where the database has begun another history.
const EPOCH_CHANGED: &str = "TM001";

/// A state with the version of its stream: the number of its last event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    pub value: T,
    pub version: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("borrow a database connection")]
    Borrow(#[source] PoolError),
    #[error("run {statement}")]
    Run {
        statement: &'static str,
        #[source]
        source: SqlError,
    },
    #[error("read a row of {statement}")]
    Row {
        statement: &'static str,
        #[source]
        source: RowError,
    },
    #[error("reach the database before the deadline")]
    Deadline,
    #[error("wait for the end of the commit")]
    Abandoned,
    #[error("commit together with others")]
    Group(#[source] Arc<Self>),
}

/// A row that does not say what its table promises.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("read a column")]
    Column(#[from] SqlError),
    #[error(transparent)]
    Lane(#[from] LaneOutOfRange),
    #[error("a number is out of range")]
    Number(#[from] std::num::TryFromIntError),
    #[error("attributes are not texts")]
    Attributes(#[from] serde_json::Error),
    #[error(transparent)]
    Money(#[from] schemas::money::MoneyError),
}

impl StoreError {
    pub(crate) fn run(statement: &'static str) -> impl FnOnce(SqlError) -> Self {
        move |source| Self::Run { statement, source }
    }

    pub(crate) fn row(statement: &'static str) -> impl Fn(RowError) -> Self {
        move |source| Self::Row { statement, source }
    }

    /// What a caller can do about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Borrow(error) => Fault::from(error),
            Self::Run { source, .. } => postgres::classify(source),
            Self::Row { .. } | Self::Abandoned => Fault::Other,
            Self::Deadline => Fault::Timeout,
            Self::Group(error) => error.fault(),
        }
    }

    /// True where the server said so, which then has ended the transaction.
    pub fn is_from_server(&self) -> bool {
        matches!(self, Self::Run { source, .. } if postgres::code(source).is_some())
    }

    /// True where another history has begun: this process has to end.
    pub fn is_epoch_change(&self) -> bool {
        matches!(self, Self::Run { source, .. } if postgres::code(source) == Some(EPOCH_CHANGED))
    }
}

/// For columns and parameters that PostgreSQL keeps as `bigint`.
pub(crate) fn to_bigint(number: u64) -> i64 {
    i64::try_from(number).expect("versions and seqs come from bigint columns")
}
