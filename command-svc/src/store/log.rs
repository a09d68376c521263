//! The event log: appending, the last step before commit, and the positions of streams.

use chassis::clock::{self, Deadline};
use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::{Event, Meta, StreamId, StreamKind};
use schemas::id::Epoch;
use schemas::lane::{Lane, Position};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::idempotency::{self, IdempotencyKey, SentAnswer};
use super::statement::{EVENT_APPEND, EVENT_HEADS, EVENT_LOCK_TIMEOUT, EVENT_POSITIONS};
use super::{RowError, StoreError, Tx, to_bigint};
use crate::config::{COMMIT_RESERVE, MAX_LOCK_WAIT};

/// Events to append, an element each; a broadcast is one element a lane.
#[derive(Debug, Default)]
pub struct Batch {
    lanes: Vec<i16>,
    event_ids: Vec<Uuid>,
    subjects: Vec<Option<Uuid>>,
    stream_ids: Vec<String>,
    stream_versions: Vec<i64>,
    types: Vec<&'static str>,
    versions: Vec<i16>,
    data: Vec<Value>,
}

/// The answer to keep under an idempotency key, and what it was decided on beside what it appends.
#[derive(Debug)]
pub struct Keep<'a> {
    pub key: &'a IdempotencyKey,
    pub sent: &'a SentAnswer,
    /// The same for releases before V5.
    pub typed: &'a Value,
    pub decided_on: &'a [Position],
}

impl Batch {
    /// Of events, each with its number in its stream.
    pub fn of(events: &[(u64, Event)]) -> Self {
        let mut batch = Self::default();
        for (stream_version, event) in events {
            batch.push(*stream_version, event);
        }
        batch
    }

    /// Adds an event as number `stream_version` of its stream.
    pub fn push(&mut self, stream_version: u64, event: &Event) {
        let data = event.to_data();
        match event.subject() {
            Some(subject) => {
                self.push_element(
                    Lane::of(subject),
                    Some(subject),
                    stream_version,
                    event,
                    data,
                );
            }
            None => {
                for lane in Lane::all() {
                    self.push_element(lane, None, stream_version, event, data.clone());
                }
            }
        }
    }

    fn push_element(
        &mut self,
        lane: Lane,
        subject: Option<Uuid>,
        stream_version: u64,
        event: &Event,
        data: Value,
    ) {
        self.lanes.push(lane.number().into());
        self.event_ids.push(clock::new_id());
        self.subjects.push(subject);
        self.stream_ids.push(event.stream_id().to_string());
        self.stream_versions.push(to_bigint(stream_version));
        self.types.push(event.type_name());
        let version = i16::try_from(event.version()).expect("versions of types are small");
        self.versions.push(version);
        self.data.push(data);
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Elements, not events.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }
}

/// Elements that an event is in a batch.
pub fn elements_of(event: &Event) -> usize {
    event.subject().map_or_else(|| Lane::all().count(), |_| 1)
}

/// What was appended.
#[derive(Debug, Default)]
pub struct Appended {
    /// Of each element, in their order.
    pub positions: Vec<Position>,
    /// When all lanes were taken, by the clock of the server; none where nothing was appended.
    pub lanes_taken_at: Option<DateTime<Utc>>,
}

/// `append_timed` for those who do not ask when.
pub async fn append(
    tx: &Tx,
    epoch: Epoch,
    batch: &Batch,
    metas: &[&Meta],
    keep: Option<&Keep<'_>>,
    deadline: Deadline,
) -> Result<Vec<Position>, StoreError> {
    let appended = append_timed(tx, epoch, batch, metas, keep, deadline).await?;
    Ok(appended.positions)
}

/// Appends, and fills the answer into the idempotency row. Nothing but COMMIT may follow: the lanes
/// are locked until then. One of `metas` is of all elements, else there is one for each. Ends
/// before anything is sent where the deadline leaves no time for COMMIT, so that what became of it
/// is known.
pub async fn append_timed(
    tx: &Tx,
    epoch: Epoch,
    batch: &Batch,
    metas: &[&Meta],
    keep: Option<&Keep<'_>>,
    deadline: Deadline,
) -> Result<Appended, StoreError> {
    debug_assert!(metas.len() == 1 || metas.len() == batch.len());
    let key = keep.map(|keep| keep.key);
    let decided_on = keep.map_or(&[][..], |keep| keep.decided_on);
    let (lanes, seqs): (Vec<i16>, Vec<i64>) = decided_on
        .iter()
        .map(|position| (i16::from(position.lane.number()), to_bigint(position.seq)))
        .unzip();
    let metas: Vec<Json<&Meta>> = metas.iter().copied().map(Json).collect();
    let (epoch, typed) = (i64::from(epoch.0), keep.map(|keep| keep.typed));
    let (principal, name) = key.map(|key| (&key.principal, &key.key)).unzip();
    let params: [&(dyn ToSql + Sync); 15] = [
        &epoch,
        &batch.lanes,
        &batch.event_ids,
        &batch.subjects,
        &batch.stream_ids,
        &batch.stream_versions,
        &batch.types,
        &batch.versions,
        &batch.data,
        &metas,
        &principal,
        &name,
        &typed,
        &lanes,
        &seqs,
    ];
    let ((), (), rows) = try_join!(
        limit_lock_waits(tx, deadline),
        keep_sent(tx, keep),
        tx.query(EVENT_APPEND, &params),
    )?;
    read_appended(&rows).map_err(StoreError::row(EVENT_APPEND.name))
}

async fn limit_lock_waits(tx: &Tx, deadline: Deadline) -> Result<(), StoreError> {
    let left = deadline.remaining().saturating_sub(COMMIT_RESERVE);
    let limit = left.min(MAX_LOCK_WAIT).as_millis();
    // PostgreSQL takes 0 for no limit.
    if limit == 0 {
        return Err(StoreError::Deadline);
    }
    tx.execute(EVENT_LOCK_TIMEOUT, &[&limit.to_string()])
        .await
        .map(|_| ())
}

async fn keep_sent(tx: &Tx, keep: Option<&Keep<'_>>) -> Result<(), StoreError> {
    match keep {
        Some(keep) => idempotency::keep(tx, keep.key, keep.sent).await,
        None => Ok(()),
    }
}

/// Where these events stand, each stream's in its subject's own lane.
pub async fn positions(tx: &Tx, streams: &[(StreamId, u64)]) -> Result<Vec<Position>, StoreError> {
    if streams.is_empty() {
        return Ok(Vec::new());
    }
    let lane = |stream: &StreamId| i16::from(Lane::of(stream.id).number());
    let lanes: Vec<i16> = streams.iter().map(|(stream, _)| lane(stream)).collect();
    let ids: Vec<String> = streams
        .iter()
        .map(|(stream, _)| stream.to_string())
        .collect();
    let versions: Vec<i64> = streams
        .iter()
        .map(|(_, version)| to_bigint(*version))
        .collect();
    let rows = tx
        .query(EVENT_POSITIONS, &[&lanes, &ids, &versions])
        .await?;
    read_positions(&rows).map_err(StoreError::row(EVENT_POSITIONS.name))
}

/// The head of each lane that holds something.
pub async fn heads(tx: &Tx) -> Result<Vec<Position>, StoreError> {
    let rows = tx.query(EVENT_HEADS, &[]).await?;
    read_positions(&rows).map_err(StoreError::row(EVENT_HEADS.name))
}

pub fn category_stream(id: impl Into<Uuid>) -> StreamId {
    StreamId::new(StreamKind::Category, id)
}

pub fn product_stream(id: impl Into<Uuid>) -> StreamId {
    StreamId::new(StreamKind::Product, id)
}

pub fn stock_stream(id: impl Into<Uuid>) -> StreamId {
    StreamId::new(StreamKind::Stock, id)
}

fn read_appended(rows: &[Row]) -> Result<Appended, RowError> {
    let recorded_at = rows.first().map(|row| row.try_get(2)).transpose()?;
    Ok(Appended {
        positions: read_positions(rows)?,
        lanes_taken_at: recorded_at,
    })
}

fn read_positions(rows: &[Row]) -> Result<Vec<Position>, RowError> {
    let position = |row: &Row| {
        let lane = Lane::try_from(row.try_get::<_, i16>(0)?)?;
        Ok(Position {
            lane,
            seq: u64::try_from(row.try_get::<_, i64>(1)?)?,
        })
    };
    rows.iter().map(position).collect()
}
