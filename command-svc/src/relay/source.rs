//! The relay's side of PostgreSQL: a connection of its own, with ownership, reading, remembering.
//!
//! Ownership is a session-level advisory lock for each Kafka partition. It keeps replicas from
//! doing the same work twice, and nothing else rests on it: readers drop what comes twice.

use chassis::clock::{Deadline, DeadlinePassed};
use chassis::postgres::{OwnedConnection, Session, SetupError, Target, connect_alone};
use futures::{StreamExt, pin_mut};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneOutOfRange, Position};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::row::{EventRow, EventRowError};
use crate::config::{MAX_EVENTS_PER_LANE, MAX_READ_BYTES, RELAY_STATEMENT_TIMEOUT};

const UNPUBLISHED: &str = include_str!("../store/sql/relay/unpublished.sql");
const REMEMBER: &str = include_str!("../store/sql/relay/remember.sql");
const OWN: &str = include_str!("../store/sql/relay/own.sql");
const REMEMBERED: &str = "select lane, seq from relay where lane = any ($1)";
const HEADS: &str = "select id as lane, head as seq from lane where id = any ($1)";

/// Asked of the server: the locks of a host that died are free again after some ten seconds, not
/// after the hours that an operating system waits.
const KEEPALIVES: &str = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 \
    -c tcp_keepalives_count=3 -c tcp_user_timeout=10000";

/// The first half of the locks' keys; the second is the partition.
const LOCK_CLASS: i32 = 0x7464_726c;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("set up the connection to postgres")]
    Setup(#[from] SetupError),
    #[error("{operation}")]
    Statement {
        operation: &'static str,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("{operation}: no answer within {RELAY_STATEMENT_TIMEOUT:?}")]
    Silent { operation: &'static str },
    #[error(transparent)]
    Event(#[from] EventRowError),
    #[error("read a number of a row")]
    Number(#[from] std::num::TryFromIntError),
    #[error(transparent)]
    Lane(#[from] LaneOutOfRange),
}

#[derive(Debug)]
pub struct Source {
    connection: OwnedConnection,
    unpublished: Statement,
    remember: Statement,
    own: Statement,
    remembered: Statement,
    heads: Statement,
}

impl Source {
    pub async fn connect(url: &SecretString) -> Result<Self, SourceError> {
        let mut target = Target::new(url, "command-svc relay", Session::Unlimited)?;
        let options = target.config.get_options().unwrap_or_default();
        let options = format!("{KEEPALIVES} {options}");
        target.config.options(options);
        let runtime = Handle::current();
        let connection = within("connect", connect_alone(&target, &runtime)).await?;
        let prepare = |sql| within("prepare", connection.client.prepare(sql));
        let (unpublished, remember, own, remembered, heads) = tokio::try_join!(
            prepare(UNPUBLISHED),
            prepare(REMEMBER),
            prepare(OWN),
            prepare(REMEMBERED),
            prepare(HEADS),
        )?;
        Ok(Self {
            connection,
            unpublished,
            remember,
            own,
            remembered,
            heads,
        })
    }

    /// The identity of the history that this database holds.
    pub async fn epoch(&self) -> Result<Epoch, SourceError> {
        let asked = self
            .connection
            .client
            .query_one("select epoch from epoch", &[]);
        let epoch: i64 = within("read the epoch", asked).await?.get("epoch");
        Ok(Epoch(u32::try_from(epoch)?))
    }

    /// Tries to become the owner of these partitions. Answers those that were free.
    pub async fn own(&self, partitions: &[i32]) -> Result<Vec<i32>, SourceError> {
        let params: [&(dyn ToSql + Sync); 2] = [&partitions, &LOCK_CLASS];
        let locking = self.connection.client.query(&self.own, &params);
        let rows = within("own partitions", locking).await?;
        Ok(rows.iter().map(|row| row.get("partition")).collect())
    }

    /// Where the last owners of these lanes remembered to have been.
    pub async fn remembered(&self, lanes: &[Lane]) -> Result<Vec<Position>, SourceError> {
        self.positions("read the relay's positions", &self.remembered, lanes)
            .await
    }

    pub async fn heads(&self, lanes: &[Lane]) -> Result<Vec<Position>, SourceError> {
        self.positions("read the heads of lanes", &self.heads, lanes)
            .await
    }

    async fn positions(
        &self,
        operation: &'static str,
        statement: &Statement,
        lanes: &[Lane],
    ) -> Result<Vec<Position>, SourceError> {
        let lanes: Vec<i16> = lanes.iter().map(|lane| lane.number().into()).collect();
        let params: [&(dyn ToSql + Sync); 1] = [&lanes];
        let asked = self.connection.client.query(statement, &params);
        let rows = within(operation, asked).await?;
        rows.iter()
            .map(|row| {
                let lane = Lane::try_from(row.get::<_, i16>("lane"))?;
                Ok(Position {
                    lane,
                    seq: u64::try_from(row.get::<_, i64>("seq"))?,
                })
            })
            .collect()
    }

    /// Reads on after these positions: in order of seq within a lane, bounded in rows and bytes.
    pub async fn read(
        &self,
        sent: impl Iterator<Item = Position>,
    ) -> Result<Vec<EventRow>, SourceError> {
        const OPERATION: &str = "read unpublished events";
        let deadline = Deadline::within(RELAY_STATEMENT_TIMEOUT);
        let (lanes, seqs) = columns(sent)?;
        let params: [&(dyn ToSql + Sync); 3] = [&lanes, &seqs, &MAX_EVENTS_PER_LANE];
        let rows = self.connection.client.query_raw(&self.unpublished, params);
        let rows = until(OPERATION, deadline, rows).await?;
        pin_mut!(rows);
        let mut read = Vec::new();
        let mut bytes = 0;
        while bytes < MAX_READ_BYTES {
            let Some(row) =
                until(OPERATION, deadline, async { rows.next().await.transpose() }).await?
            else {
                break;
            };
            let row = EventRow::new(&row)?;
            bytes += row.bytes();
            read.push(row);
        }
        Ok(read)
    }

    /// Writes how far Kafka has settled.
    pub async fn remember(&self, settled: &[Position]) -> Result<(), SourceError> {
        let (lanes, seqs) = columns(settled.iter().copied())?;
        let params: [&(dyn ToSql + Sync); 2] = [&lanes, &seqs];
        let written = self.connection.client.execute(&self.remember, &params);
        within("remember positions", written).await.map(|_| ())
    }
}

fn columns(positions: impl Iterator<Item = Position>) -> Result<(Vec<i16>, Vec<i64>), SourceError> {
    let mut lanes = Vec::new();
    let mut seqs = Vec::new();
    for Position { lane, seq } in positions {
        lanes.push(lane.number().into());
        seqs.push(i64::try_from(seq)?);
    }
    Ok((lanes, seqs))
}

async fn within<T>(
    operation: &'static str,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SourceError> {
    until(
        operation,
        Deadline::within(RELAY_STATEMENT_TIMEOUT),
        statement,
    )
    .await
}

async fn until<T>(
    operation: &'static str,
    deadline: Deadline,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SourceError> {
    match deadline.run(statement).await {
        Ok(answer) => answer.map_err(|source| SourceError::Statement { operation, source }),
        Err(DeadlinePassed) => Err(SourceError::Silent { operation }),
    }
}
