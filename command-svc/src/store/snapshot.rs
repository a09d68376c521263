//! One snapshot of everything, page by page: what `verify` compares.

use chassis::event_log::{self, EventRowError};
use schemas::event::{Envelope, StreamId};
use schemas::lane::Lane;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};
use uuid::Uuid;

use super::statement::{EVENT_GAPS, EVENT_OF_STREAMS, EVENT_ORPHANS};
use super::{RowError, Statement};
use crate::config::VERIFY_PAGE_ROWS;

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("read a snapshot of the database")]
    Sql(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Event(#[from] EventRowError),
}

/// A lane that is not dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub lane: i16,
    pub head: i64,
    pub events: i64,
    pub last: i64,
}

/// Sees nothing of what is written after it was taken.
pub struct Snapshot<'a>(Transaction<'a>);

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl<'a> Snapshot<'a> {
    pub async fn take(client: &'a mut Client) -> Result<Self, SnapshotError> {
        let builder = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead);
        Ok(Self(builder.read_only(true).start().await?))
    }

    /// The rows of a page: those whose ids come after this one; the nil id is before all.
    pub(super) async fn page(
        &self,
        statement: Statement,
        after: Uuid,
    ) -> Result<Vec<Row>, SnapshotError> {
        let limit = i64::try_from(VERIFY_PAGE_ROWS).expect("a page is small");
        self.query(statement, &[&after, &limit]).await
    }

    pub(super) async fn query(
        &self,
        statement: Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, SnapshotError> {
        Ok(self.0.query(statement.text, params).await?)
    }

    /// All events of these streams, in order within each.
    pub async fn events(&self, streams: &[StreamId]) -> Result<Vec<Envelope>, SnapshotError> {
        let ids: Vec<String> = streams.iter().map(ToString::to_string).collect();
        let lanes: Vec<i16> = streams
            .iter()
            .map(|stream| Lane::of(stream.id).number().into())
            .collect();
        let rows = self.query(EVENT_OF_STREAMS, &[&ids, &lanes]).await?;
        Ok(rows
            .iter()
            .map(event_log::from_row)
            .collect::<Result<_, _>>()?)
    }

    pub async fn orphans(&self) -> Result<Vec<String>, SnapshotError> {
        let rows = self.query(EVENT_ORPHANS, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?)
    }

    pub async fn gaps(&self) -> Result<Vec<Gap>, SnapshotError> {
        let rows = self.query(EVENT_GAPS, &[]).await?;
        let read = |row: &Row| -> Result<Gap, tokio_postgres::Error> {
            Ok(Gap {
                lane: row.try_get("lane")?,
                head: row.try_get("head")?,
                events: row.try_get("events")?,
                last: row.try_get("last")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}
