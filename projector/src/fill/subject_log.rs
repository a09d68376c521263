//! All events that one subject's documents are made of: its own, and the broadcasts of its lane.

use chassis::clock::Deadline;
use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{FillError, STATEMENT, borrow, entry_of};
use crate::project::LogEntry;

/// Reads those before `seq`, in the order of the log.
pub(crate) async fn read_subject(
    pool: &Pool,
    lane: Lane,
    subject: Uuid,
    seq: Seq,
) -> Result<Vec<LogEntry>, FillError> {
    let read = async {
        let client = borrow(pool).await?;
        let statement = client
            .prepare_cached(include_str!("subject_log.sql"))
            .await?;
        let (lane, seq) = (i16::from(lane.number()), seq.cast_signed());
        let parameters: [&(dyn ToSql + Sync); 3] = [&lane, &subject, &seq];
        let rows = client.query(&statement, &parameters).await?;
        rows.iter().map(entry_of).collect()
    };
    Deadline::within(STATEMENT).run(read).await?
}
