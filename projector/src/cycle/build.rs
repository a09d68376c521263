//! The task of one build: its feed, its workbench, its failures and its pace.
//!
//! The task owns all state of the build's lanes and documents, so nothing needs a lock. Lanes are
//! restarted between batches only, so a batch of an earlier assignment changes nothing. A failure
//! stops, retries or slows this build and no other.

use std::time::Duration;

use chassis::clock;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use schemas::lane::LaneSeqs;

use super::Parts;
use super::background::{Background, Report};
use super::feed::Feed;
use super::inbox::Inbox;
use super::refresh::Ended;
use super::workbench::{WorkError, Workbench};
use crate::builds::FedBuild;
use crate::config::{
    GATHER_TIME, IDLE_INTERVAL, MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MIN_BATCH_DURING_REFRESH,
    UNREAD_REFRESH_INTERVAL,
};
use crate::ending::Ending;
use crate::metrics;
use crate::project::Stopped;
use crate::sink::{SinkError, Target};

mod lanes;

#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Ending(#[from] Ending),
}

impl From<SinkError> for TurnError {
    fn from(error: SinkError) -> Self {
        Self::Work(error.into())
    }
}

/// A build that is fed. Dropping it ends its background work.
#[derive(Debug)]
pub(super) struct BuildTask {
    parts: Parts,
    target: Target,
    index_uuid: String,
    inbox: Inbox,
    feed: Feed,
    workbench: Workbench,
    background: Background,
    backoff: Backoff,
}

impl BuildTask {
    pub(super) fn new(build: &FedBuild, inbox: Inbox, parts: Parts) -> Self {
        let target = Target {
            build: build.id(),
            index: build.index.as_str().into(),
        };
        Self {
            feed: Feed::new(target.build),
            workbench: Workbench::new(target.clone(), &parts),
            parts,
            target,
            index_uuid: build.index_uuid.clone(),
            inbox,
            background: Background::new(),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(1)),
        }
    }

    /// Runs until the build is lost. An error means that the history has changed.
    pub(super) async fn run(mut self) -> Result<(), Ending> {
        loop {
            match self.turn().await {
                Ok(()) => {}
                Err(TurnError::Ending(ending)) => return Err(ending),
                Err(TurnError::Work(WorkError::Lost)) => {
                    self.lose();
                    return Ok(());
                }
                Err(TurnError::Work(error)) => {
                    tracing::warn!(
                        build = %self.target.build,
                        error = %Chain(&error),
                        "restarting a build from its checkpoints"
                    );
                    self.restart();
                    self.backoff.pause().await;
                }
            }
        }
    }

    /// One batch, or a wait until there is something to do.
    async fn turn(&mut self) -> Result<(), TurnError> {
        self.follow_assignment();
        self.take_reports().await?;
        let most = if self.inbox.holds(self.batch()) {
            MAX_BATCH_RECORDS
        } else {
            0
        };
        self.feed
            .take_arrivals(self.inbox.take(most, MAX_BATCH_BYTES))?;
        let heads = self.parts.board.heads().seqs;
        self.feed.watch_heads(&heads);
        let mut runs = self.feed.plan();
        self.ask_table();
        let is_idle = runs.is_empty();
        if !is_idle {
            let started = clock::instant();
            self.workbench.work(&mut runs).await?;
            self.backoff.reset();
            for run in runs {
                let lane = run.lane();
                if let Some(stopped) = self.feed.settle(run) {
                    self.record_stopped(lane, &stopped);
                }
            }
            metrics::cycle(started.elapsed());
            metrics::cache(self.parts.cache.taken());
        }
        self.refresh(&heads);
        self.report();
        if is_idle {
            self.wait().await?;
        }
        Ok(())
    }

    /// How many records have to be waiting before a batch is taken.
    fn batch(&self) -> usize {
        if self.workbench.refreshes.is_running() {
            MIN_BATCH_DURING_REFRESH
        } else {
            1
        }
    }

    async fn wait(&mut self) -> Result<(), TurnError> {
        let batch = self.batch();
        let report = tokio::select! {
            () = self.inbox.filled(batch) => {
                tokio::time::sleep(GATHER_TIME).await;
                return Ok(());
            }
            () = self.workbench.refreshes.wait() => return Ok(()),
            report = self.background.next() => report,
            () = self.parts.ownership.changed() => return Ok(()),
            () = tokio::time::sleep(IDLE_INTERVAL) => return Ok(()),
        };
        report.map_or(Ok(()), |report| self.take_report(report))
    }

    async fn take_reports(&mut self) -> Result<(), TurnError> {
        if let Some(Ended { cover, outcome }) = self.workbench.refreshes.take_ended().await {
            match outcome {
                Ok(()) => self.feed.shown(&cover),
                Err(error) => {
                    self.feed.not_shown(&cover);
                    if matches!(error, SinkError::Missing(_)) {
                        return Err(error.into());
                    }
                    tracing::warn!(
                        build = %self.target.build,
                        error = %Chain(&error),
                        "failed to refresh a build; retrying"
                    );
                }
            }
        }
        while let Some(report) = self.background.try_next() {
            self.take_report(report)?;
        }
        Ok(())
    }

    fn take_report(&mut self, report: Report) -> Result<(), TurnError> {
        match report {
            Report::Loaded(None) => Err(WorkError::Lost.into()),
            Report::Loaded(Some(loaded)) => {
                // The previous owner may have written after the last refresh.
                self.workbench.refreshes.request();
                let fresh = self.feed.take_loaded(&loaded)?;
                self.fill(fresh);
                Ok(())
            }
            Report::Page { page, seen } => Ok(self.feed.take_page(page, &seen)?),
            Report::Fill(report) => self.take_fill(report),
        }
    }

    /// Reads what the feed wants from the event table.
    fn ask_table(&mut self) {
        let wanted = self.feed.wanted();
        if !wanted.is_empty() && !self.background.is_reading_table() {
            let pool = self.parts.pool.clone();
            self.background.read_table(pool, wanted, self.feed.seen());
        }
    }

    /// Sends a refresh if one is due.
    fn refresh(&mut self, heads: &LaneSeqs) {
        let is_paced = self.feed.is_filling()
            || self.feed.is_far_behind(heads)
            || self.inbox.len() >= MAX_BATCH_RECORDS;
        let is_unread = self.feed.is_filling() && !self.inbox.is_active();
        let refreshes = &mut self.workbench.refreshes;
        if is_unread && !refreshes.has_rested(UNREAD_REFRESH_INTERVAL) {
            return;
        }
        if refreshes.is_due(is_paced) && !self.feed.is_empty() {
            refreshes.send(self.feed.cover());
        }
    }

    /// Reports progress to the board.
    fn report(&mut self) {
        if !self.workbench.refreshes.may_hide_writes() {
            self.feed.shows_all();
        }
        let moved = self.feed.take_progress();
        if !moved.is_empty() {
            let build = self.target.build;
            self.parts.board.report(build, &self.index_uuid, moved);
        }
    }

    /// Discards what no checkpoint covers, and reads the checkpoints again.
    fn restart(&mut self) {
        self.workbench.restart();
        self.feed.restart();
        self.load_missing();
    }

    /// The index is missing: nothing more is written to it. The owner of lane 0 announces another.
    fn lose(&mut self) {
        let build = self.target.build;
        tracing::error!(build = %build, "the index of a build is missing: the build is lost");
        metrics::build_lost(build);
        self.feed.clear();
    }

    /// A lane of the build has stopped: counts it, and records a dead letter if it met poison.
    fn record_stopped(&self, lane: schemas::lane::Lane, stopped: &Stopped) {
        let build = self.target.build;
        tracing::error!(
            build = %build,
            lane = lane.number(),
            event.seq = stopped.seq(),
            reason = stopped.reason(),
            kind = stopped.kind(),
            "a lane stopped"
        );
        metrics::lane_stopped(build, lane, stopped);
        if let Stopped::Poison {
            seq,
            event_id,
            reason,
        } = stopped
        {
            let letters = &self.parts.dead_letters;
            letters.record(build, lane, (*seq, *event_id), reason);
        }
    }
}
