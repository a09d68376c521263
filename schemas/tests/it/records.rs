//! Events as Kafka records: what is published is what is read.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::event::record::{self, RecordError};
use schemas::event::{Envelope, Event, EventError, Meta};
use schemas::id::Epoch;
use schemas::lane::Lane;
use schemas::topic::header;
use serde_json::Value;
use uuid::Uuid;

use crate::files;

type Headers = HashMap<&'static str, String>;

fn envelope(type_name: &str, version: u16) -> Envelope {
    let golden: Value = files::read(&format!("golden/{type_name}/v{version}.json"));
    let event = Event::parse(type_name, version, golden["data"].clone()).unwrap();
    let at: DateTime<Utc> = "2026-03-14T09:26:53.600001Z".parse().unwrap();
    Envelope {
        lane: event
            .subject()
            .map_or_else(|| Lane::of(Uuid::nil()), Lane::of),
        seq: 1027,
        event_id: Uuid::from_u128(9),
        subject: event.subject(),
        stream_id: event.stream_id(),
        stream_version: 3,
        epoch: Epoch(0x0eab_0a7d),
        recorded_at: at,
        meta: Meta {
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            ..Meta::default()
        },
        event,
    }
}

fn parse(headers: &Headers, payload: &[u8]) -> Result<Envelope, RecordError> {
    record::parse(|name| headers.get(name).map(String::as_bytes), payload)
}

fn published(envelope: &Envelope) -> (Headers, Vec<u8>) {
    let headers = record::headers(envelope).into_iter().collect();
    (headers, record::payload(envelope))
}

#[test]
fn every_event_reads_as_it_was_published() {
    for &(name, version) in Event::TYPES {
        let envelope = envelope(name, version);
        let (headers, payload) = published(&envelope);
        assert!(headers.keys().all(|name| header::ALL.contains(name)));
        assert_eq!(parse(&headers, &payload).unwrap(), envelope);
    }
}

#[test]
fn every_stream_id_reads_as_it_was_written() {
    for &(name, version) in Event::TYPES {
        let stream_id = envelope(name, version).stream_id;
        assert_eq!(stream_id.to_string().parse(), Ok(stream_id));
    }
}

#[test]
fn only_broadcasts_have_no_subject_and_go_by_their_lane() {
    for &(name, version) in Event::TYPES {
        let envelope = envelope(name, version);
        let (headers, _) = published(&envelope);
        let is_broadcast = envelope.event.is_broadcast();
        assert_eq!(
            headers.contains_key(header::CE_SUBJECT),
            !is_broadcast,
            "{name}"
        );
        assert_eq!(
            record::key(&envelope).starts_with("lane-"),
            is_broadcast,
            "{name}"
        );
    }
}

#[test]
fn a_record_without_one_of_its_headers_is_refused() {
    let (headers, payload) = published(&envelope("price-changed", 1));
    let unread = [
        header::CE_SPECVERSION,
        header::CE_SOURCE,
        header::CE_TIME,
        header::CONTENT_TYPE,
    ];
    let optional = [header::CE_SUBJECT, header::TRACEPARENT];
    for name in headers.keys() {
        let mut headers = headers.clone();
        headers.remove(name);
        let is_read = parse(&headers, &payload).is_ok();
        assert_eq!(
            is_read,
            unread.contains(name) || optional.contains(name),
            "{name}"
        );
    }
}

#[test]
fn a_lane_beyond_63_is_refused() {
    let (mut headers, payload) = published(&envelope("price-changed", 1));
    headers.insert(header::LANE, "64".to_owned());
    let error = parse(&headers, &payload).unwrap_err();
    assert!(
        matches!(error, RecordError::Unreadable(header::LANE)),
        "{error}"
    );
}

#[test]
fn a_type_of_the_future_is_unknown_but_has_a_place() {
    let (mut headers, payload) = published(&envelope("price-changed", 1));
    headers.insert(header::CE_TYPE, "price-guessed".to_owned());
    headers.insert(header::STREAM_ID, format!("guess-{}", Uuid::nil()));
    let place = record::place(|name| headers.get(name).map(String::as_bytes)).unwrap();
    assert_eq!((place.0, place.1.seq), (Epoch(0x0eab_0a7d), 1027));
    let error = parse(&headers, &payload).unwrap_err();
    assert!(
        matches!(error, RecordError::Event(EventError::Unknown { .. })),
        "{error}"
    );
}

#[test]
fn a_payload_that_is_no_json_is_refused() {
    let (headers, _) = published(&envelope("price-changed", 1));
    assert!(matches!(
        parse(&headers, b"{"),
        Err(RecordError::Event(EventError::Malformed { .. }))
    ));
}
