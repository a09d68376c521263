//! How the state of an aggregate is kept as rows: said beside the SQL of its table.

use super::{Row, StoreError, Tx};
use crate::domain::Aggregate;

/// A state that has a table. `Changes` holds the rows of all of them.
pub trait Persisted: Aggregate {
    /// Writes what has changed in these rows, with one statement for all of them each. Sends every
    /// statement when it is polled first, so that what follows travels in the same round trip.
    ///
    /// Rows whose names have to be unique are inserted before, to ask whether their names are free.
    fn write(tx: &Tx, rows: &[&Row<Self>]) -> impl Future<Output = Result<(), StoreError>> + Send;
}
