//! The lane heads and the epoch, read from PostgreSQL.

use chassis::clock::Deadline;
use chassis::postgres;
use deadpool_postgres::Pool;
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneSeqs};

use crate::config::HEADS_TIMEOUT;
use crate::event_table::TableError;

/// The epoch, and the head of every lane.
pub async fn read_heads(pool: &Pool) -> Result<(Epoch, LaneSeqs), TableError> {
    let deadline = Deadline::within(HEADS_TIMEOUT);
    let read = async {
        let client = postgres::get_within(pool, deadline).await?;
        let statement = client.prepare_cached(include_str!("heads.sql")).await?;
        let rows = client.query(&statement, &[]).await?;
        let mut epoch = 0;
        let mut heads = LaneSeqs::default();
        for row in &rows {
            epoch = row.try_get::<_, i64>("epoch")?;
            let lane = Lane::try_from(row.try_get::<_, i16>("id")?)
                .map_err(|error| TableError::Place(error.into()))?;
            heads.set(lane, row.try_get::<_, i64>("head")?.cast_unsigned());
        }
        let epoch = u32::try_from(epoch).map_err(|error| TableError::Place(error.into()))?;
        Ok((Epoch(epoch), heads))
    };
    deadline.run(read).await?
}
