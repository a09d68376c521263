//! Filling one lane of a fresh build: subject by subject, so that each document is written once.

use std::sync::Arc;

use chassis::clock::Deadline;
use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::broadcasts::Broadcasts;
use super::subject::Subjects;
use super::{FillError, STATEMENT, borrow, entry_of};
use crate::project::{LogEntry, Stopped};
use crate::sink::{Bulk, Op, Outcome, Sink, SinkError, Target};

const PAGE: i64 = 1_000;
/// Larger ones would be no faster, and would keep the live cycle's waiting.
const BULK_BYTES: usize = 2 * 1024 * 1024;

type Write = AbortOnDropHandle<Result<Vec<(Op, Outcome)>, SinkError>>;

#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError {
    #[error(transparent)]
    Fill(#[from] FillError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("the index of the build is gone")]
    Lost,
    #[error("a bulk was cut off")]
    CutOff,
}

/// What one lane's fill works with.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneFill<'a> {
    pub(super) pool: &'a Pool,
    pub(super) sink: &'a Sink,
    /// How many bulks may be in flight, of all lanes and builds together.
    pub(super) bulks: &'a Arc<Semaphore>,
    pub(super) target: &'a Target,
    pub(super) lane: Lane,
}

/// How a lane was filled up to its head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LaneFilled {
    Done(Option<Stopped>),
    /// It is to be filled in the order of its log.
    InOrder,
}

impl LaneFill<'_> {
    /// Folds (0, head] and returns once all of it is acknowledged.
    pub(super) async fn run(&self, head: Seq) -> Result<LaneFilled, LaneError> {
        if head == 0 {
            return Ok(LaneFilled::Done(None));
        }
        let view = self.target.build.view;
        let broadcasts = Broadcasts::read(self.pool, view, self.lane, head).await?;
        if broadcasts.too_many {
            return Ok(LaneFilled::InOrder);
        }
        let head = broadcasts
            .stopped
            .as_ref()
            .map_or(head, |stopped| stopped.seq() - 1);
        let mut subjects = Subjects::new(self.target, broadcasts);
        let mut cursor = (Uuid::nil(), 0);
        let mut writes = Vec::new();
        loop {
            let page = self.read(cursor, head).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            for (subject, entry) in &page {
                cursor = subjects.take(entry, *subject);
            }
            if is_last {
                subjects.end_subject();
            }
            if is_last || subjects.bulk.bytes() >= BULK_BYTES {
                writes.push(self.start(std::mem::take(&mut subjects.bulk)).await);
            }
            if is_last {
                break;
            }
        }
        let mut stopped = subjects.stopped;
        for write in writes {
            let refused = refused(write.await.map_err(|_| LaneError::CutOff)??)?;
            stopped = stopped.into_iter().chain(refused).min_by_key(Stopped::seq);
        }
        Ok(LaneFilled::Done(stopped))
    }

    /// Writes on the side; waits while too many do.
    async fn start(&self, bulk: Bulk) -> Write {
        let permit = Arc::clone(self.bulks).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let sink = self.sink.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let written = sink.write(bulk).await;
            drop(permit);
            written
        }))
    }

    async fn read(
        &self,
        (subject, seq): (Uuid, i64),
        head: Seq,
    ) -> Result<Vec<(Uuid, LogEntry)>, LaneError> {
        let read = async {
            let client = borrow(self.pool).await?;
            let statement = client.prepare_cached(include_str!("subjects.sql")).await?;
            let (lane, head) = (i16::from(self.lane.number()), head.cast_signed());
            let parameters: [&(dyn ToSql + Sync); 5] = [&lane, &subject, &seq, &head, &PAGE];
            let rows = client.query(&statement, &parameters).await?;
            let entries = rows
                .iter()
                .map(|row| Ok((row.try_get("subject")?, entry_of(row)?)));
            entries.collect::<Result<Vec<_>, FillError>>()
        };
        let read = Deadline::within(STATEMENT).run(read).await;
        Ok(read.map_err(FillError::from)??)
    }
}

/// The first event whose document Elasticsearch will never take.
fn refused(written: Vec<(Op, Outcome)>) -> Result<Option<Stopped>, LaneError> {
    let mut stopped = Vec::new();
    for (op, outcome) in written {
        match outcome {
            Outcome::Written | Outcome::Superseded => {}
            Outcome::Lost => return Err(LaneError::Lost),
            Outcome::Refused(reason) => {
                let (seq, event_id) = op.first;
                stopped.push(Stopped::Poison {
                    seq,
                    event_id,
                    reason,
                });
            }
        }
    }
    Ok(stopped.into_iter().min_by_key(Stopped::seq))
}
