//! Reading events from their table: the relay, the projector's fill and catch-up reads share it.

use schemas::event::{Envelope, Event, EventError, StreamIdError};
use schemas::id::Epoch;
use schemas::lane::LaneOutOfRange;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

/// The columns that `from_row` reads, in its order.
pub const COLUMNS: &str = "lane, seq, event_id, subject, stream_id, stream_version, type, version, \
                           data, meta, epoch, recorded_at";

/// A row of the event table that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventRowError {
    #[error("a column of an event row cannot be read")]
    Column(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Lane(#[from] LaneOutOfRange),
    #[error(transparent)]
    Stream(#[from] StreamIdError),
    #[error("a number in an event row is out of range")]
    Number(#[from] std::num::TryFromIntError),
    #[error("the meta of an event row does not fit")]
    Meta(#[from] serde_json::Error),
    #[error(transparent)]
    Event(#[from] EventError),
}

/// Reads a row selected with `COLUMNS`.
pub fn from_row(row: &Row) -> Result<Envelope, EventRowError> {
    let type_name: &str = row.try_get("type")?;
    let version: i16 = row.try_get("version")?;
    // First: a newer Tidemark may have streams that are unknown here as well.
    let data: Json<&RawValue> = row.try_get("data")?;
    let data = data.0.get().as_bytes();
    let event = Event::parse_json(type_name, u16::try_from(version)?, data)?;
    let meta: Json<&RawValue> = row.try_get("meta")?;
    Ok(Envelope {
        lane: row.try_get::<_, i16>("lane")?.try_into()?,
        seq: u64::try_from(row.try_get::<_, i64>("seq")?)?,
        event_id: row.try_get("event_id")?,
        subject: row.try_get("subject")?,
        stream_id: row.try_get::<_, &str>("stream_id")?.parse()?,
        stream_version: u64::try_from(row.try_get::<_, i64>("stream_version")?)?,
        epoch: Epoch(u32::try_from(row.try_get::<_, i64>("epoch")?)?),
        recorded_at: row.try_get("recorded_at")?,
        meta: serde_json::from_str(meta.0.get())?,
        event,
    })
}
