//! The live pipeline: hands records from Kafka to every build that is fed, and starts and ends the
//! builds' tasks.
//!
//! Each build has a task with a feed (arrived entries, progress of each lane) and a workbench (cache,
//! fold, write, refresh). Builds share nothing else, so none of them waits for another.

use std::collections::BTreeMap;
use std::sync::Arc;

use chassis::watermark_tail::WatermarkTail;
use deadpool_postgres::Pool;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::board::Board;
use crate::build_id::BuildId;
use crate::builds::{self, FedBuild};
use crate::cache::CacheBudget;
use crate::config::{IDLE_INTERVAL, MAX_DISTRIBUTED_BYTES, MAX_DISTRIBUTED_RECORDS};
use crate::consume::{Gather, Offsets, Ownership};
use crate::dead_letter::DeadLetters;
use crate::ending::Ending;
use crate::fill::FillContext;
use crate::sink::Sink;

mod background;
mod barrier;
mod build;
mod feed;
mod hand;
mod inbox;
mod lane;
mod load;
mod refresh;
mod restore;
mod run;
mod workbench;

use build::BuildTask;
use inbox::Inbox;

/// What every build works with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub pool: Pool,
    pub sink: Sink,
    pub fill: FillContext,
    pub dead_letters: DeadLetters,
    pub board: Board,
    pub ownership: Ownership,
    pub cache: CacheBudget,
}

/// A build whose task runs, until this is dropped.
#[derive(Debug)]
struct Fed {
    inbox: Inbox,
    _running: DropGuard,
}

/// The live pipeline of all builds.
#[derive(Debug)]
pub struct Cycle {
    parts: Parts,
    gather: Gather,
    tail: WatermarkTail,
    builds: BTreeMap<BuildId, Fed>,
    tasks: JoinSet<Result<(), Ending>>,
    offsets: Offsets,
    /// Notified when an inbox has room again.
    room: Arc<Notify>,
}

impl Cycle {
    pub fn new(parts: Parts, gather: Gather, tail: WatermarkTail) -> Self {
        Self {
            parts,
            gather,
            tail,
            builds: BTreeMap::new(),
            tasks: JoinSet::new(),
            offsets: Offsets::new(),
            room: Arc::default(),
        }
    }

    /// Runs until `shutdown`. An error means that the history has changed.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Ending> {
        let live = async {
            loop {
                self.turn().await?;
            }
        };
        shutdown.run_until_cancelled(live).await.unwrap_or(Ok(()))
    }

    async fn turn(&mut self) -> Result<(), Ending> {
        if self.parts.ownership.is_repartitioned() {
            return Err(Ending::Repartitioned);
        }
        self.follow_builds();
        let is_held = self.builds.values().any(|fed| fed.inbox.holds_back());
        if !is_held {
            self.hand_over();
        }
        tokio::select! {
            () = self.gather.arrived(), if !is_held => Ok(()),
            () = self.room.notified(), if is_held => Ok(()),
            Some(ended) = self.tasks.join_next() => ended.unwrap_or_else(fail),
            () = self.parts.ownership.changed() => Ok(()),
            () = tokio::time::sleep(IDLE_INTERVAL) => Ok(()),
        }
    }

    /// Gives every build what has arrived. Offsets advance: what a build has no room for, it reads
    /// from the event table.
    fn hand_over(&mut self) {
        let arrivals = self
            .gather
            .take(MAX_DISTRIBUTED_RECORDS, MAX_DISTRIBUTED_BYTES);
        for fed in self.builds.values() {
            fed.inbox.push(arrivals.iter());
        }
        let owned = self.parts.ownership.owned_partitions();
        self.offsets
            .retain(|partition, _| owned.contains(partition));
        for arrival in &arrivals {
            self.offsets.insert(arrival.partition, arrival.offset + 1);
        }
        if !arrivals.is_empty() {
            self.parts.board.set_offsets(self.offsets.clone());
        }
    }

    /// Starts to feed builds that were announced, and stops those that were retired.
    fn follow_builds(&mut self) {
        let (fed, active) = self.tail.read(|state| {
            let active = |build: &FedBuild| {
                let view = state.view(build.view.name());
                view.and_then(|view| view.active) == Some(build.number)
            };
            let fed = builds::fed(state);
            let active: Vec<bool> = fed.iter().map(active).collect();
            (fed, active)
        });
        self.builds
            .retain(|id, _| fed.iter().any(|build| build.id() == *id));
        for (build, is_active) in fed.iter().zip(active) {
            let id = build.id();
            if !self.builds.contains_key(&id) {
                tracing::info!(build = %id, "feeding a build");
                let fed = self.begin(build);
                self.builds.insert(id, fed);
            }
            self.builds[&id].inbox.set_active(is_active);
        }
    }

    fn begin(&mut self, build: &FedBuild) -> Fed {
        let inbox = Inbox::new(Arc::clone(&self.room));
        let task = BuildTask::new(build, inbox.clone(), self.parts.clone());
        let (id, board) = (build.id(), self.parts.board.clone());
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        self.tasks.spawn(async move {
            let outcome = ended.run_until_cancelled(task.run()).await;
            board.retain(|of, _| of != id);
            outcome.unwrap_or(Ok(()))
        });
        Fed {
            inbox,
            _running: guard,
        }
    }
}

/// A task that panics ends the process.
fn fail(error: JoinError) -> Result<(), Ending> {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Ok(()),
    }
}
