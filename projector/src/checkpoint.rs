//! Checkpoints: how far a build's lane was acknowledged, so that a restart does not fill it again.
//!
//! A checkpoint is written after the bulk that it covers has succeeded, never before. Its version is
//! the seq, so an older one never replaces a newer one. Offsets are committed after checkpoints. If
//! their index is missing, there are none, and the index is created again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

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
use crate::build_id::BuildId;
use crate::config::CHECKPOINT_INTERVAL;
use crate::consume::Offsets;
use crate::indexes::{IndexError, Indexes};
use crate::metrics;

/// All events of the lane up to `seq` are in the build's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub build: BuildId,
    pub index_uuid: String,
    pub lane: Lane,
    pub seq: Seq,
    /// The event at `seq`, which identifies the history.
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
    #[error("read or write checkpoints in elasticsearch")]
    Elasticsearch(#[from] ElasticsearchError),
    #[error("read a checkpoint")]
    Unreadable(#[from] serde_json::Error),
    #[error("a checkpoint was refused with status {0}")]
    Refused(u16),
    /// Everything written before is lost.
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

    /// How far these lanes of an index were acknowledged, and the event at that seq.
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
            match serde_json::from_str::<Stored>(found.source.get()) {
                Ok(stored) if stored.epoch == self.epoch => {
                    checkpoints.insert(stored.lane, (stored.seq, stored.event_id));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "failed to parse a checkpoint; its lane is filled again");
                }
            }
        }
        Ok(checkpoints)
    }

    /// Writes without retries. A checkpoint older than the stored one changes nothing.
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

/// Writes the checkpoints every second, and then has the offsets committed.
#[derive(Debug)]
pub struct CheckpointWriter {
    checkpoints: Checkpoints,
    board: Board,
    commits: watch::Sender<Offsets>,
    written: BTreeMap<(String, Lane), Seq>,
}

impl CheckpointWriter {
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
        let mut ticks = tokio::time::interval(CHECKPOINT_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.write().await;
        }
        self.write().await;
    }

    async fn write(&mut self) {
        let (checkpoints, offsets) = checkpoints(&self.board);
        self.forget_others(&checkpoints);
        let moved: Vec<Checkpoint> = checkpoints
            .into_iter()
            .filter(|checkpoint| self.is_new(checkpoint))
            .collect();
        if let Err(error) = self.checkpoints.write(&moved).await {
            tracing::debug!(error = %Chain(&error), "failed to write checkpoints");
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

    /// Forgets revoked lanes, so that they are written again if they come back.
    fn forget_others(&mut self, current: &[Checkpoint]) {
        let keys: BTreeSet<_> = current.iter().map(key).collect();
        self.written.retain(|key, _| keys.contains(key));
    }

    fn is_new(&self, checkpoint: &Checkpoint) -> bool {
        self.written.get(&key(checkpoint)) != Some(&checkpoint.seq)
    }
}

/// What checkpoints may say, and the offsets that may be committed after they are written.
fn checkpoints(board: &Board) -> (Vec<Checkpoint>, Offsets) {
    board.with_offsets(|builds, offsets| {
        let checkpoints = builds.iter().flat_map(|(build, of_build)| {
            of_build.lanes.iter().filter_map(|(lane, of_lane)| {
                Some(Checkpoint {
                    build: *build,
                    index_uuid: of_build.index_uuid.clone(),
                    lane: *lane,
                    seq: of_lane.applied,
                    event_id: of_lane.event_id?,
                })
            })
        });
        (checkpoints.collect(), offsets.clone())
    })
}

fn key(checkpoint: &Checkpoint) -> (String, Lane) {
    (checkpoint.index_uuid.clone(), checkpoint.lane)
}
