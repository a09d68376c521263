//! One build as a task of its own: its feed, its workbench, its failures and its pace.
//!
//! All state of the build's lanes and documents is in here, so nothing needs a lock, and a batch of
//! an earlier assignment puts nothing back: lanes begin anew between batches only. What fails here
//! stops, retries or paces this build, and no other.

use std::time::Duration;

use chassis::clock;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use schemas::lane::LaneSeqs;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Parts;
use super::feed::Feed;
use super::inbox::Inbox;
use super::load::{Load, Loaded};
use super::refresh::Ended;
use super::workbench::{WorkError, Workbench};
use crate::builds::FedBuild;
use crate::cache::BuildId;
use crate::ending::Ending;
use crate::fill::{FillReport, FreshFill, Life, Page, read_page};
use crate::metrics;
use crate::project::Stopped;
use crate::sink::{SinkError, Target};

const MAX_RECORDS: usize = 2_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What arrives together is taken together.
const GATHER: Duration = Duration::from_millis(1);
/// The least number of records that are written while a refresh runs. Fewer wait for its end: they
/// would not be visible earlier, and each bulk makes the refresh slower.
const WORTH_A_BULK: usize = 200;
const TICK: Duration = Duration::from_millis(100);
const REPORTS: usize = 64;
/// Refreshes of a build that is filled and not read yet: they only show its progress.
const FILL_PACE: Duration = Duration::from_secs(30);

/// What the background work of a build brings.
#[derive(Debug)]
enum Report {
    /// None where the index is gone, or another one.
    Loaded(Option<Loaded>),
    Page {
        page: Page,
        seen: Box<LaneSeqs>,
    },
}

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
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    fills: (mpsc::Sender<FillReport>, mpsc::Receiver<FillReport>),
    background: JoinSet<()>,
    /// The event table is being asked.
    is_asking: bool,
    backoff: Backoff,
}

impl BuildTask {
    pub(super) fn new(build: &FedBuild, inbox: Inbox, parts: Parts) -> Self {
        let target = Target {
            build: BuildId::of(build),
            index: build.index.as_str().into(),
        };
        Self {
            feed: Feed::new(target.build),
            workbench: Workbench::new(target.clone(), &parts),
            parts,
            target,
            index_uuid: build.index_uuid.clone(),
            inbox,
            reports: mpsc::channel(REPORTS),
            fills: mpsc::channel(REPORTS),
            background: JoinSet::new(),
            is_asking: false,
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(1)),
        }
    }

    /// Runs until the build is lost; an error means that the history is another one.
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
            MAX_RECORDS
        } else {
            0
        };
        self.feed.take_arrivals(self.inbox.take(most, MAX_BYTES))?;
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

    /// How many records have to wait before they are taken.
    fn batch(&self) -> usize {
        if self.workbench.refreshes.is_running() {
            WORTH_A_BULK
        } else {
            1
        }
    }

    async fn wait(&mut self) -> Result<(), TurnError> {
        let batch = self.batch();
        let report = tokio::select! {
            () = self.inbox.filled(batch) => {
                tokio::time::sleep(GATHER).await;
                return Ok(());
            }
            () = self.workbench.refreshes.wait() => return Ok(()),
            report = self.reports.1.recv() => report,
            fill = self.fills.1.recv() => {
                return fill.map_or(Ok(()), |fill| self.take_fill(fill));
            }
            () = self.parts.ownership.changed() => return Ok(()),
            () = tokio::time::sleep(TICK) => return Ok(()),
        };
        report.map_or(Ok(()), |report| self.take_report(report))
    }

    /// Lanes that come or go, or did both, begin anew.
    fn follow_assignment(&mut self) {
        let gone = self.feed.follow_assignment(&self.parts.ownership);
        if !gone.is_empty() {
            self.workbench.forget(&gone);
            let build = self.target.build;
            self.parts
                .board
                .retain(|of, lane| of != build || !gone.contains(&lane));
        }
        self.load_missing();
    }

    fn load_missing(&mut self) {
        while self.background.try_join_next().is_some() {}
        let lives = self.feed.begin_missing(&self.parts.ownership);
        if lives.is_empty() {
            return;
        }
        self.workbench.refreshes.request();
        let load = Load {
            index: self.target.index.to_string(),
            index_uuid: self.index_uuid.clone(),
            lives,
            checkpoints: self.parts.fill.checkpoints.clone(),
            elasticsearch: self.parts.sink.elasticsearch().clone(),
        };
        let reports = self.reports.0.clone();
        self.background.spawn(async move {
            reports.send(Report::Loaded(load.run().await)).await.ok();
        });
        self.report();
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
                        "a build is not refreshed yet"
                    );
                }
            }
        }
        while let Ok(report) = self.reports.1.try_recv() {
            self.take_report(report)?;
        }
        while let Ok(fill) = self.fills.1.try_recv() {
            self.take_fill(fill)?;
        }
        Ok(())
    }

    fn take_report(&mut self, report: Report) -> Result<(), TurnError> {
        match report {
            Report::Loaded(None) => Err(WorkError::Lost.into()),
            Report::Loaded(Some(loaded)) => {
                // Who was here before may have written after our last refresh.
                self.workbench.refreshes.request();
                let fresh = self.feed.take_loaded(&loaded)?;
                self.fill(fresh);
                Ok(())
            }
            Report::Page { page, seen } => {
                self.is_asking = false;
                Ok(self.feed.take_page(page, &seen)?)
            }
        }
    }

    fn fill(&mut self, lanes: Vec<Life>) {
        if lanes.is_empty() {
            return;
        }
        tracing::info!(build = %self.target.build, lane.count = lanes.len(), "filling lanes");
        let fill = FreshFill {
            context: self.parts.fill.clone(),
            target: self.target.clone(),
            index_uuid: self.index_uuid.clone(),
            lanes,
        };
        self.background.spawn(fill.run(self.fills.0.clone()));
    }

    /// Follows lanes from where a fill has come to.
    fn take_fill(&mut self, report: FillReport) -> Result<(), TurnError> {
        let FillReport::Filled(filled) = report else {
            return Err(WorkError::Lost.into());
        };
        self.workbench.refreshes.request();
        let (lane, stopped) = (filled.life.0, filled.stopped.clone());
        if self.feed.take_filled(filled)
            && let Some(stopped) = stopped
        {
            self.record_stopped(lane, &stopped);
        }
        Ok(())
    }

    /// Asks the event table for what the feed wants, once at a time.
    fn ask_table(&mut self) {
        let wanted = self.feed.wanted();
        if wanted.is_empty() || self.is_asking {
            return;
        }
        self.is_asking = true;
        let seen = Box::new(self.feed.seen());
        let (pool, reports) = (self.parts.pool.clone(), self.reports.0.clone());
        self.background.spawn(async move {
            let mut backoff = Backoff::default();
            let page = loop {
                match read_page(&pool, &wanted).await {
                    Ok(page) => break page,
                    Err(error) => {
                        tracing::debug!(error = %Chain(&error), "the event table is asked again");
                        backoff.pause().await;
                    }
                }
            };
            reports.send(Report::Page { page, seen }).await.ok();
        });
    }

    /// Sends a refresh where one is due.
    fn refresh(&mut self, heads: &LaneSeqs) {
        let is_paced = self.feed.is_filling()
            || self.feed.is_far_behind(heads)
            || self.inbox.len() >= MAX_RECORDS;
        let is_unread = self.feed.is_filling() && !self.inbox.is_active();
        let refreshes = &mut self.workbench.refreshes;
        if is_unread && !refreshes.has_rested(FILL_PACE) {
            return;
        }
        if refreshes.is_due(is_paced) && !self.feed.is_empty() {
            refreshes.send(self.feed.cover());
        }
    }

    /// Tells the board what has moved.
    fn report(&mut self) {
        if !self.workbench.refreshes.may_hide_writes() {
            self.feed.shows_all();
        }
        let moved = self.feed.standing();
        if !moved.is_empty() {
            let build = self.target.build;
            self.parts.board.report(build, &self.index_uuid, moved);
        }
    }

    /// Forgets what is not safely behind a checkpoint, and reads the checkpoints again.
    fn restart(&mut self) {
        self.workbench.restart();
        self.feed.restart();
        self.load_missing();
    }

    /// The index is gone: nothing more is written to it. Whoever owns lane 0 announces another.
    fn lose(&mut self) {
        let build = self.target.build;
        tracing::error!(build = %build, "the index of a build is gone: the build is lost");
        metrics::build_lost(build);
        self.feed.clear();
    }

    /// A lane of the build stands still: counted, recorded where it is poison, alerted.
    fn record_stopped(&self, lane: schemas::lane::Lane, stopped: &Stopped) {
        let build = self.target.build;
        tracing::error!(
            build = %build,
            lane = lane.number(),
            event.seq = stopped.seq(),
            reason = stopped.reason(),
            kind = stopped.kind(),
            "a lane stands still"
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
