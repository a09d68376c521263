//! The identity of the history that this database holds.

use schemas::id::Epoch;

use super::statement::EVENT_EPOCH;
use super::{RowError, StoreError, Tx};

pub async fn read(tx: &Tx) -> Result<Epoch, StoreError> {
    let rows = tx.query(EVENT_EPOCH, &[]).await?;
    let read = || -> Result<Epoch, RowError> {
        let epoch: i64 = rows
            .first()
            .expect("the migration made one row")
            .try_get(0)?;
        Ok(Epoch(u32::try_from(epoch)?))
    };
    read().map_err(StoreError::row(EVENT_EPOCH.name))
}
