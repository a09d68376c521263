//! An event on its way from its row to its record, unread: the relay knows no types of events, so
//! an older relay passes on what newer replicas write.

use chrono::{DateTime, SecondsFormat, Utc};
use rdkafka::message::{Header, OwnedHeaders};
use schemas::event::record::Heading;
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneOutOfRange, Position};
use tokio_postgres::Row;
use uuid::Uuid;

/// A row of `unpublished.sql`, checked.
#[derive(Debug)]
pub struct EventRow {
    pub position: Position,
    key: String,
    headers: OwnedHeaders,
    header_bytes: usize,
    /// The event's data as JSON.
    payload: String,
}

#[derive(Debug, thiserror::Error)]
pub enum EventRowError {
    #[error("a column of an event row cannot be read")]
    Column(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Lane(#[from] LaneOutOfRange),
    #[error("a number in an event row is out of range")]
    Number(#[from] std::num::TryFromIntError),
}

impl EventRow {
    pub fn new(row: &Row) -> Result<Self, EventRowError> {
        let recorded_at: DateTime<Utc> = row.try_get("recorded_at")?;
        let recorded_text = recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let position = Position {
            lane: Lane::try_from(row.try_get::<_, i16>("lane")?)?,
            seq: u64::try_from(row.try_get::<_, i64>("seq")?)?,
        };
        let heading = Heading {
            position,
            event_id: row.try_get("event_id")?,
            subject: row.try_get::<_, Option<Uuid>>("subject")?,
            stream_id: row.try_get("stream_id")?,
            stream_version: u64::try_from(row.try_get::<_, i64>("stream_version")?)?,
            type_name: row.try_get("type")?,
            version: u16::try_from(row.try_get::<_, i16>("version")?)?,
            epoch: Epoch(u32::try_from(row.try_get::<_, i64>("epoch")?)?),
            occurred_at: row
                .try_get::<_, Option<&str>>("occurred_at")?
                .unwrap_or(&recorded_text),
            recorded_at,
            traceparent: row.try_get("traceparent")?,
        };
        let (headers, header_bytes) = kafka_headers(&heading);
        let payload = row.try_get("data")?;
        Ok(Self {
            position,
            key: heading.key(),
            headers,
            header_bytes,
            payload,
        })
    }

    /// About what the record takes.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.key.len() + self.header_bytes
    }

    /// Place, key, headers and payload.
    pub fn record(self) -> (Position, String, OwnedHeaders, String) {
        (self.position, self.key, self.headers, self.payload)
    }
}

fn kafka_headers(heading: &Heading) -> (OwnedHeaders, usize) {
    let headers = heading.headers();
    let bytes = headers
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    let headers = headers.iter().fold(empty, |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    });
    (headers, bytes)
}
