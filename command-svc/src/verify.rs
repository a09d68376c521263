//! Rows are the fold of their events: the invariant that rows can be rebuilt, checked stream by
//! stream in one snapshot, so it may run while commands are executed.

use std::collections::HashMap;

use schemas::event::{Envelope, StreamId};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::domain::Aggregate;
use crate::domain::stock::Stock;
use crate::domain::text::{NameKey, SkuKey};
use crate::store::Stored;
use crate::store::log::{category_stream, product_stream, stock_stream};
use crate::store::snapshot::{Snapshot, SnapshotError};

mod compare;
mod print;

pub use print::print;

/// A row that is not what its events make, events without a row, or a lane with a gap.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// A stream id, or `lane-<number>`.
    pub of: String,
    pub what: String,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    pub categories: u64,
    pub products: u64,
    pub stocks: u64,
    pub differences: u64,
}

/// Compares every row with its events. Each difference is told as it is found.
pub async fn rows(
    client: &mut Client,
    mut tell: impl FnMut(Difference),
) -> Result<Verified, SnapshotError> {
    let snapshot = Snapshot::take(client).await?;
    let mut verified = Verified::default();
    let mut differences = 0;
    let mut found = |of: String, what: String| {
        differences += 1;
        tell(Difference { of, what });
    };
    for gap in snapshot.gaps().await? {
        let what = format!(
            "has head {} but {} events, the last of them {}",
            gap.head, gap.events, gap.last
        );
        found(format!("lane-{}", gap.lane), what);
    }
    for orphan in snapshot.orphans().await? {
        found(orphan, "has events but no row".to_owned());
    }
    verified.categories = categories(&snapshot, &mut found).await?;
    verified.products = products(&snapshot, &mut found).await?;
    verified.stocks = stocks(&snapshot, &mut found).await?;
    Ok(Verified {
        differences,
        ..verified
    })
}

async fn categories(
    snapshot: &Snapshot<'_>,
    found: &mut impl FnMut(String, String),
) -> Result<u64, SnapshotError> {
    let (mut after, mut count) = (Uuid::nil(), 0);
    loop {
        let page = snapshot.categories(after).await?;
        let Some((last, _)) = page.last() else {
            return Ok(count);
        };
        after = last.value.id.0;
        count += page.len() as u64;
        let streams = page.iter().map(|(row, _)| category_stream(row.value.id));
        let mut events = events_of(snapshot, streams.collect()).await?;
        for (row, key) in page {
            let stream = category_stream(row.value.id);
            let events = events.remove(&stream).unwrap_or_default();
            let folded = fold(&events, None);
            compare::category(&row, folded.as_ref(), |what| {
                found(stream.to_string(), what)
            });
            if !row.value.retired {
                let own = NameKey::of(&row.value.name);
                let own = ("name", own.as_str());
                compare::key(own, row.value.id.0, key.as_deref(), |what| {
                    found(stream.to_string(), what)
                });
            }
        }
    }
}

async fn products(
    snapshot: &Snapshot<'_>,
    found: &mut impl FnMut(String, String),
) -> Result<u64, SnapshotError> {
    let (mut after, mut count) = (Uuid::nil(), 0);
    loop {
        let page = snapshot.products(after).await?;
        let Some((last, _)) = page.last() else {
            return Ok(count);
        };
        after = last.value.id.0;
        count += page.len() as u64;
        let streams = page.iter().map(|(row, _)| product_stream(row.value.id));
        let mut events = events_of(snapshot, streams.collect()).await?;
        for (row, key) in page {
            let stream = product_stream(row.value.id);
            let events = events.remove(&stream).unwrap_or_default();
            let folded = fold(&events, None);
            compare::product(&row, folded.as_ref(), |what| {
                found(stream.to_string(), what)
            });
            let own = SkuKey::of(&row.value.sku);
            let own = ("sku", own.as_str());
            compare::key(own, row.value.id.0, key.as_deref(), |what| {
                found(stream.to_string(), what)
            });
        }
    }
}

async fn stocks(
    snapshot: &Snapshot<'_>,
    found: &mut impl FnMut(String, String),
) -> Result<u64, SnapshotError> {
    let (mut after, mut count) = (Uuid::nil(), 0);
    loop {
        let page = snapshot.stocks(after).await?;
        let Some((last, _)) = page.last() else {
            return Ok(count);
        };
        after = last.value.product_id.0;
        count += page.len() as u64;
        let streams = page
            .iter()
            .map(|(row, _)| stock_stream(row.value.product_id));
        let mut events = events_of(snapshot, streams.collect()).await?;
        for (row, created_at) in page {
            let stream = stock_stream(row.value.product_id);
            let events = events.remove(&stream).unwrap_or_default();
            let empty = Stock::empty(row.value.product_id, created_at);
            let folded = fold(&events, Some(empty));
            compare::stock(&row, folded.as_ref(), |what| {
                found(stream.to_string(), what)
            });
        }
    }
}

type Events = HashMap<StreamId, Vec<Envelope>>;

async fn events_of(
    snapshot: &Snapshot<'_>,
    streams: Vec<StreamId>,
) -> Result<Events, SnapshotError> {
    let mut events = Events::new();
    for envelope in snapshot.events(&streams).await? {
        events.entry(envelope.stream_id).or_default().push(envelope);
    }
    Ok(events)
}

/// None where no event made anything. The version is that of the last event.
fn fold<T: Aggregate>(events: &[Envelope], start: Option<T>) -> Option<Stored<T>> {
    let version = events.last().map_or(0, |envelope| envelope.stream_version);
    let value = events
        .iter()
        .fold(start, |state, envelope| T::evolve(state, &envelope.event))?;
    Some(Stored { value, version })
}
