//! Access to the event table: connections, time limits, errors, and rows as entries of the log.

use std::sync::Arc;

use chassis::clock::Deadline;
use chassis::event_log::{self, EventRowError};
use chassis::postgres::{self, Fault};
use deadpool_postgres::{Client, Pool, PoolError};
use schemas::lane::{Lane, Position};
use tokio_postgres::Row;

use crate::config::CONNECTION_TIMEOUT;
use crate::project::{Content, LogEntry, unreadable};

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("borrow a connection to the event table")]
    Pool(#[from] PoolError),
    #[error("read the event table")]
    Query(#[from] tokio_postgres::Error),
    #[error("the event table did not answer in time")]
    TooLate(#[from] chassis::clock::DeadlinePassed),
    #[error("parse lane and seq of an event row")]
    Place(#[source] EventRowError),
}

impl TableError {
    /// True if a retry may succeed.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Pool(error) => Fault::from(error) != Fault::Other,
            Self::Query(error) => postgres::classify(error) != Fault::Other,
            Self::TooLate(_) => true,
            Self::Place(_) => false,
        }
    }

    /// For `/readyz`: no addresses, no names of users.
    pub fn outline(&self) -> &'static str {
        match self {
            Self::Pool(error) if postgres::is_standby(error) => {
                "a standby answers instead of the primary"
            }
            _ => "postgres does not answer",
        }
    }
}

pub(crate) async fn borrow(pool: &Pool) -> Result<Client, TableError> {
    let deadline = Deadline::within(CONNECTION_TIMEOUT);
    Ok(postgres::get_within(pool, deadline).await?)
}

/// Parses a row. One whose event cannot be parsed still has its place in the lane.
pub(crate) fn entry_of(row: &Row) -> Result<LogEntry, TableError> {
    let lane: i16 = row.try_get("lane")?;
    let lane = Lane::try_from(lane).map_err(|error| TableError::Place(error.into()))?;
    let seq = u64::try_from(row.try_get::<_, i64>("seq")?)
        .map_err(|error| TableError::Place(error.into()))?;
    let content = match event_log::from_row(row) {
        Ok(envelope) => Content::Event(Arc::new(envelope)),
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
