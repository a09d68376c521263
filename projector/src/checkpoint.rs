//! Checkpoints: up to where a build's lane was acknowledged, so that a restart need not begin anew.
//!
//! They trail: one is written after the bulk that it speaks of has succeeded, never before. Version
//! = seq, so an older one never replaces a newer. Offsets are committed after them. Where their index
//! is missing there are none, and it is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chassis::clock;
use chassis::elasticsearch::{Elasticsearch, ElasticsearchError};
use chassis::telemetry::Chain;
use schemas::id::Epoch;
use schemas::lane::{Lane, Seq};
use schemas::topic::Names;
use schemas::watermark::Held;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::board::Board;
use crate::cache::BuildId;
use crate::consume::Offsets;
use crate::indexes::{IndexError, Indexes};
use crate::metrics;

const EVERY: Duration = Duration::from_secs(1);

/// All events of the lane up to `seq` are in the build's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub build: BuildId,
    pub index_uuid: String,
    pub lane: Lane,
    pub seq: Seq,
    /// The event at `seq`, to know the history by.
    pub event_id: Uuid,
}

/// A checkpoint as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    view: String,
    build: u32,
    index_uuid: String,
    lane: Lane,
    seq: Seq,
    event_id: Uuid,
    epoch: Epoch,
    held: Vec<Held>,
    at: chrono::DateTime<chrono::Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("ask elasticsearch for checkpoints")]
    Elasticsearch(#[from] ElasticsearchError),
    #[error("read a checkpoint")]
    Unreadable(#[from] serde_json::Error),
    #[error("a checkpoint was refused with status {0}")]
    Refused(u16),
    /// All that were written before are gone.
    #[error("the index of checkpoints was missing")]
    Missing,
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The index of checkpoints. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    elasticsearch: Elasticsearch,
    indexes: Indexes,
    index: String,
    epoch: Epoch,
}

impl Checkpoints {
    pub fn new(elasticsearch: Elasticsearch, indexes: Indexes, names: &Names) -> Self {
        Self {
            elasticsearch,
            indexes,
            index: names.checkpoints(),
            epoch: names.epoch(),
        }
    }

    /// Up to where these lanes of an index were acknowledged, and the events there.
    pub async fn load(
        &self,
        index_uuid: &str,
        lanes: &[Lane],
    ) -> Result<BTreeMap<Lane, (Seq, Uuid)>, CheckpointError> {
        let ids: Vec<String> = lanes.iter().map(|lane| id(index_uuid, *lane)).collect();
        let found = match self.elasticsearch.mget(&self.index, &ids).await {
            Err(error) if error.is_not_found() => Vec::new(),
            found => found?,
        };
        let mut checkpoints = BTreeMap::new();
        for found in found.into_iter().flatten() {
            let stored: Stored = serde_json::from_str(found.source.get())?;
            if stored.epoch == self.epoch {
                checkpoints.insert(stored.lane, (stored.seq, stored.event_id));
            }
        }
        Ok(checkpoints)
    }

    /// Writes once. One that is older than what is there changes nothing.
    pub async fn write(&self, checkpoints: &[Checkpoint]) -> Result<(), CheckpointError> {
        if checkpoints.is_empty() {
            return Ok(());
        }
        let items = self.elasticsearch.bulk(self.ndjson(checkpoints)).await?;
        if items.iter().any(|item| item.status == 404) {
            self.indexes.make_missing().await?;
            return Err(CheckpointError::Missing);
        }
        let refused = items
            .iter()
            .find(|item| !item.is_written() && !item.is_conflict());
        refused.map_or(Ok(()), |item| Err(CheckpointError::Refused(item.status)))
    }

    fn ndjson(&self, checkpoints: &[Checkpoint]) -> Bytes {
        let mut body = BytesMut::new();
        for checkpoint in checkpoints {
            let (index, id) = (&self.index, id(&checkpoint.index_uuid, checkpoint.lane));
            let seq = checkpoint.seq;
            let action = format_args!(
                r#"{{"index":{{"_index":"{index}","_id":"{id}","version":{seq},"version_type":"external_gte"}}}}"#
            );
            writeln!((&mut body).writer(), "{action}").expect("a buffer takes what is written");
            let stored = Stored {
                view: checkpoint.build.view.name().to_owned(),
                build: checkpoint.build.number,
                index_uuid: checkpoint.index_uuid.clone(),
                lane: checkpoint.lane,
                seq,
                event_id: checkpoint.event_id,
                epoch: self.epoch,
                held: Vec::new(),
                at: clock::now(),
            };
            serde_json::to_writer((&mut body).writer(), &stored)
                .expect("checkpoints are plain data");
            body.put_u8(b'\n');
        }
        body.freeze()
    }
}

pub(crate) fn id(index_uuid: &str, lane: Lane) -> String {
    format!("{index_uuid}-{lane}")
}

/// Writes what the board shows, every second, and then lets the offsets be committed.
#[derive(Debug)]
pub struct Trail {
    checkpoints: Checkpoints,
    board: Board,
    commits: watch::Sender<Offsets>,
    written: BTreeMap<(String, Lane), Seq>,
}

impl Trail {
    pub fn new(checkpoints: Checkpoints, board: Board, commits: watch::Sender<Offsets>) -> Self {
        Self {
            checkpoints,
            board,
            commits,
            written: BTreeMap::new(),
        }
    }

    /// Runs until `shutdown`, then writes once more.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.write().await;
        }
        self.write().await;
    }

    async fn write(&mut self) {
        let (checkpoints, offsets) = self.board.checkpoints();
        self.forget_others(&checkpoints);
        let moved: Vec<Checkpoint> = checkpoints
            .into_iter()
            .filter(|checkpoint| self.is_new(checkpoint))
            .collect();
        if let Err(error) = self.checkpoints.write(&moved).await {
            tracing::debug!(error = %Chain(&error), "checkpoints are not written");
            metrics::checkpoint_failed();
            if matches!(error, CheckpointError::Missing) {
                self.written.clear();
            }
            return;
        }
        for checkpoint in moved {
            self.written.insert(key(&checkpoint), checkpoint.seq);
        }
        self.commits.send_if_modified(|committed| {
            let moved = *committed != offsets;
            *committed = offsets;
            moved
        });
    }

    /// Lanes that were given away are written again should they come back.
    fn forget_others(&mut self, current: &[Checkpoint]) {
        let keys: BTreeSet<_> = current.iter().map(key).collect();
        self.written.retain(|key, _| keys.contains(key));
    }

    fn is_new(&self, checkpoint: &Checkpoint) -> bool {
        self.written.get(&key(checkpoint)) != Some(&checkpoint.seq)
    }
}

fn key(checkpoint: &Checkpoint) -> (String, Lane) {
    (checkpoint.index_uuid.clone(), checkpoint.lane)
}
