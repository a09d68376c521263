//! Answers by idempotency key: claimed first in a transaction, filled by the append step, kept 24
//! h.

use schemas::lane::{Lane, Position};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::statement::{
    IDEMPOTENCY_CLAIM, IDEMPOTENCY_EXPIRE, IDEMPOTENCY_KEEP, IDEMPOTENCY_SELECT,
};
use super::{RowError, StoreError, Tx};

/// A client's key, and the request that it was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Keys of one client are separate from those of another.
    pub principal: String,
    pub key: String,
    /// SHA-256 of the request that the key was used for.
    pub fingerprint: Vec<u8>,
}

/// An answer as it is sent, without what differs each time: tidemark, date, request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What was answered to the first request under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptAnswer {
    pub fingerprint: Vec<u8>,
    pub answer: Kept,
    pub positions: Vec<Position>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    Sent(SentAnswer),
    /// As releases before V5 keep it.
    Typed(Value),
}

/// True where the key is free: unused, or used too long ago. Waits for a twin that is still
/// deciding. The first lock of a transaction.
pub async fn claim(tx: &Tx, key: &IdempotencyKey) -> Result<bool, StoreError> {
    let claimed = tx
        .execute(
            IDEMPOTENCY_CLAIM,
            &[&key.principal, &key.key, &key.fingerprint],
        )
        .await?;
    Ok(claimed > 0)
}

/// None where the key's row has been removed.
pub async fn kept(tx: &Tx, key: &IdempotencyKey) -> Result<Option<KeptAnswer>, StoreError> {
    let row = tx
        .query_first(IDEMPOTENCY_SELECT, &[&key.principal, &key.key])
        .await?;
    row.map(|row| from_row(&row))
        .transpose()
        .map_err(StoreError::row(IDEMPOTENCY_SELECT.name))
}

/// Keeps an answer under a key that was claimed in this transaction.
pub async fn keep(tx: &Tx, key: &IdempotencyKey, sent: &SentAnswer) -> Result<(), StoreError> {
    let status = i16::try_from(sent.status).expect("a status has three digits");
    let (headers, body) = (Json(&sent.headers), &sent.body);
    tx.execute(
        IDEMPOTENCY_KEEP,
        &[&key.principal, &key.key, &status, &headers, body],
    )
    .await
    .map(|_| ())
}

/// Removes at most `limit` answers that are too old; returns their number.
pub async fn expire(tx: &Tx, limit: i64) -> Result<u64, StoreError> {
    tx.execute(IDEMPOTENCY_EXPIRE, &[&limit]).await
}

fn from_row(row: &Row) -> Result<KeptAnswer, RowError> {
    let lanes: Vec<i16> = row.try_get("lanes")?;
    let seqs: Vec<i64> = row.try_get("seqs")?;
    let position = |(lane, seq): (i16, i64)| -> Result<Position, RowError> {
        Ok(Position {
            lane: Lane::try_from(lane)?,
            seq: u64::try_from(seq)?,
        })
    };
    let answer = match row.try_get::<_, Option<i16>>("status")? {
        Some(status) => Kept::Sent(SentAnswer {
            status: u16::try_from(status)?,
            headers: row.try_get::<_, Json<_>>("headers")?.0,
            body: row.try_get("body")?,
        }),
        None => Kept::Typed(row.try_get("answer")?),
    };
    Ok(KeptAnswer {
        fingerprint: row.try_get("fingerprint")?,
        answer,
        positions: lanes
            .into_iter()
            .zip(seqs)
            .map(position)
            .collect::<Result<_, _>>()?,
    })
}
