//! `fill`: reading the event table, which holds what Kafka may have lost or not brought yet.
//!
//! One mechanism for first start, restart, gap, catch-up and replay. Pages are bounded by rows and
//! bytes. A lane that a build has nothing of is read subject by subject instead, so that each
//! document is written once.

use chassis::clock::Deadline;
use chassis::event_log::{self, EventRowError};
use chassis::postgres::{self, Fault};
use deadpool_postgres::{Client, Pool, PoolError};
use schemas::lane::{Lane, Position};
use std::time::Duration;
use tokio_postgres::Row;

use crate::project::{Content, LogEntry, unreadable};

mod broadcasts;
mod bulks;
mod context;
mod fresh;
mod lane;
mod offender;
mod page;
mod rows;
mod subject;
mod subject_log;
mod subject_pages;

pub use context::{FillContext, FillPermits, Life};
pub use fresh::{FillReport, Filled, FreshFill};
pub use page::{Extent, Page, Wanted, read_page};
pub(crate) use subject_log::SubjectLog;

const WAIT: Duration = Duration::from_secs(3);
/// A statement of the reader's session ends within 5 s.
const STATEMENT: Duration = Duration::from_secs(6);

#[derive(Debug, thiserror::Error)]
pub enum FillError {
    #[error("borrow a connection to the event table")]
    Pool(#[from] PoolError),
    #[error("read the event table")]
    Query(#[from] tokio_postgres::Error),
    #[error("the event table did not answer in time")]
    TooLate(#[from] chassis::clock::DeadlinePassed),
    #[error("an event row has no place that can be read")]
    Place(#[source] EventRowError),
}

impl FillError {
    /// True where the same read may succeed later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Pool(error) => Fault::from(error) != Fault::Other,
            Self::Query(error) => postgres::classify(error) != Fault::Other,
            Self::TooLate(_) => true,
            Self::Place(_) => false,
        }
    }
}

async fn borrow(pool: &Pool) -> Result<Client, FillError> {
    Ok(postgres::get_within(pool, Deadline::within(WAIT)).await?)
}

/// Reads a row; one that cannot be parsed still has its place in the lane.
fn entry_of(row: &Row) -> Result<LogEntry, FillError> {
    let lane: i16 = row.try_get("lane")?;
    let lane = Lane::try_from(lane).map_err(|error| FillError::Place(error.into()))?;
    let seq = u64::try_from(row.try_get::<_, i64>("seq")?)
        .map_err(|error| FillError::Place(error.into()))?;
    let content = match event_log::from_row(row) {
        Ok(envelope) => Content::Event(std::sync::Arc::new(envelope)),
        Err(EventRowError::Event(error)) => unreadable(&error),
        Err(error) => Content::Malformed(error.to_string()),
    };
    let event_id = row.try_get("event_id")?;
    Ok(LogEntry::of_row(
        Position { lane, seq },
        event_id,
        row.raw_size_bytes(),
        content,
    ))
}
