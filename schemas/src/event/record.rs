//! An event as a Kafka record: CloudEvents 1.0 in binary mode, the place in the log in own headers.
//!
//! The payload is the event's data alone. Everything that a reader needs to drop a duplicate, or to
//! notice a gap, stands in headers, so that it is known before the payload is parsed.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::{Envelope, Event, EventError, Meta, StreamId};
use crate::id::Epoch;
use crate::lane::{Lane, Position, Seq};
use crate::topic::{SOURCE, header};

/// Why a record of the events topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("header {0} is missing")]
    Missing(&'static str),
    #[error("header {0} cannot be read")]
    Unreadable(&'static str),
    #[error(transparent)]
    Event(#[from] EventError),
}

/// An event as a record names it: all but its data. A program that passes events on fills it from their
/// rows, and so needs to know neither their types nor their versions.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    pub position: Position,
    pub event_id: Uuid,
    /// None for a broadcast.
    pub subject: Option<Uuid>,
    pub stream_id: &'a str,
    pub stream_version: u64,
    pub type_name: &'a str,
    pub version: u16,
    pub epoch: Epoch,
    /// RFC 3339.
    pub occurred_at: &'a str,
    pub recorded_at: DateTime<Utc>,
    pub traceparent: Option<&'a str>,
}

impl Heading<'_> {
    /// The headers of a record, in a fixed order.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (header::CE_SPECVERSION, "1.0".to_owned()),
            (header::CE_ID, self.event_id.to_string()),
            (header::CE_SOURCE, SOURCE.to_owned()),
            (header::CE_TYPE, self.type_name.to_owned()),
            (header::CE_TIME, self.occurred_at.to_owned()),
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (header::LANE, self.position.lane.to_string()),
            (header::SEQ, self.position.seq.to_string()),
            (header::EPOCH, self.epoch.to_string()),
            (header::VERSION, self.version.to_string()),
            (header::STREAM_ID, self.stream_id.to_owned()),
            (header::STREAM_VERSION, self.stream_version.to_string()),
            (header::RECORDED_AT, time(self.recorded_at)),
        ];
        if let Some(subject) = self.subject {
            headers.push((header::CE_SUBJECT, subject.to_string()));
        }
        if let Some(traceparent) = self.traceparent {
            headers.push((header::TRACEPARENT, traceparent.to_owned()));
        }
        headers
    }

    /// The key: records of one subject stay together; a broadcast goes by its lane.
    pub fn key(&self) -> String {
        let lane = self.position.lane;
        self.subject
            .map_or_else(|| format!("lane-{lane}"), |id| id.to_string())
    }
}

/// The headers of an event, in a fixed order.
pub fn headers(envelope: &Envelope) -> Vec<(&'static str, String)> {
    with_heading(envelope, |heading| heading.headers())
}

/// The key: records of one subject stay together; a broadcast goes by its lane.
pub fn key(envelope: &Envelope) -> String {
    with_heading(envelope, |heading| heading.key())
}

fn with_heading<T>(envelope: &Envelope, read: impl FnOnce(&Heading) -> T) -> T {
    let event = &envelope.event;
    read(&Heading {
        position: envelope.position(),
        event_id: envelope.event_id,
        subject: envelope.subject,
        stream_id: &envelope.stream_id.to_string(),
        stream_version: envelope.stream_version,
        type_name: event.type_name(),
        version: event.version(),
        epoch: envelope.epoch,
        occurred_at: &time(event.occurred_at()),
        recorded_at: envelope.recorded_at,
        traceparent: envelope.meta.traceparent.as_deref(),
    })
}

/// The payload: the event's data as JSON.
pub fn payload(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(&envelope.event.to_data()).expect("events are plain data")
}

/// Epoch and place of a record, read before anything else of it.
pub fn place<'a>(
    header_of: impl Fn(&'static str) -> Option<&'a [u8]>,
) -> Result<(Epoch, Position, Uuid), RecordError> {
    let lane: u8 = required(&header_of, header::LANE)?;
    let lane = Lane::try_from(lane).map_err(|_| RecordError::Unreadable(header::LANE))?;
    let seq: Seq = required(&header_of, header::SEQ)?;
    let position = Position { lane, seq };
    Ok((
        required(&header_of, header::EPOCH)?,
        position,
        required(&header_of, header::CE_ID)?,
    ))
}

/// Reads what `headers` and `payload` wrote, in any version ever published. Who caused the event
/// is not in the record; `meta` holds the trace alone.
pub fn parse<'a>(
    header_of: impl Fn(&'static str) -> Option<&'a [u8]>,
    payload: &[u8],
) -> Result<Envelope, RecordError> {
    let (epoch, position, event_id) = place(&header_of)?;
    let type_name: String = required(&header_of, header::CE_TYPE)?;
    let version = required(&header_of, header::VERSION)?;
    let recorded_at: DateTime<Utc> = required(&header_of, header::RECORDED_AT)?;
    // First of all that may be of the future: a new type may come with a new kind of stream.
    let event = Event::parse_json(&type_name, version, payload)?;
    Ok(Envelope {
        lane: position.lane,
        seq: position.seq,
        event_id,
        subject: optional(&header_of, header::CE_SUBJECT)?,
        stream_id: required::<StreamId>(&header_of, header::STREAM_ID)?,
        stream_version: required(&header_of, header::STREAM_VERSION)?,
        epoch,
        recorded_at,
        meta: Meta {
            traceparent: optional(&header_of, header::TRACEPARENT)?,
            ..Meta::default()
        },
        event,
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn optional<'a, T: FromStr>(
    header_of: &impl Fn(&'static str) -> Option<&'a [u8]>,
    name: &'static str,
) -> Result<Option<T>, RecordError> {
    let Some(bytes) = header_of(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Unreadable(name))?;
    text.parse()
        .map(Some)
        .map_err(|_| RecordError::Unreadable(name))
}

fn required<'a, T: FromStr>(
    header_of: &impl Fn(&'static str) -> Option<&'a [u8]>,
    name: &'static str,
) -> Result<T, RecordError> {
    optional(header_of, name)?.ok_or(RecordError::Missing(name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::event::{PriceChanged, StreamKind};
    use crate::id::ProductId;
    use crate::money::Money;

    #[test]
    fn a_record_reads_as_the_envelope_that_it_was_made_of() {
        let product_id = ProductId(Uuid::from_u128(7));
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let price = Money::new(1999, "EUR").unwrap();
        let envelope = Envelope {
            lane: Lane::of(product_id),
            seq: 3,
            event_id: Uuid::from_u128(9),
            subject: Some(product_id.0),
            stream_id: StreamId::new(StreamKind::Product, product_id),
            stream_version: 2,
            epoch: Epoch(0xdead_beef),
            recorded_at: at,
            meta: Meta::default(),
            event: PriceChanged {
                product_id,
                price,
                occurred_at: at,
            }
            .into(),
        };
        let headers: HashMap<_, _> = headers(&envelope).into_iter().collect();
        let header_of = |name: &'static str| headers.get(name).map(String::as_bytes);
        assert_eq!(parse(header_of, &payload(&envelope)).unwrap(), envelope);
    }
}
