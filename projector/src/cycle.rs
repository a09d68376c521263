//! The live cycle over all views and builds: take what has arrived, fold, write, refresh, report.
//!
//! One task owns all state of lanes and documents, so nothing here needs a lock, and a batch of an
//! earlier assignment can put nothing back: lanes start anew between cycles only.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::clock;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use chassis::watermark_tail::WatermarkTail;
use deadpool_postgres::Pool;
use schemas::lane::LaneSeqs;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::board::Board;
use crate::cache::{BuildId, DocumentCache};
use crate::consume::{Gather, Ownership};
use crate::dead_letter::DeadLetters;
use crate::ending::Ending;
use crate::fill::{FillReport, Hands, Page, read_page};
use crate::metrics;
use crate::sink::{Sink, SinkError};

mod barrier;
mod feed;
mod hand;
mod intake;
mod load;
mod members;
mod run;
mod segment;
mod show;

use feed::{Applied, Feed};
use hand::Large;
use intake::Intake;
use load::Loaded;
use run::LaneRun;

const MAX_RECORDS: usize = 2_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What arrives together is taken together.
const GATHER: Duration = Duration::from_millis(2);
const TICK: Duration = Duration::from_millis(100);
const REPORTS: usize = 64;

/// What the cycle works with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub pool: Pool,
    pub sink: Sink,
    pub hands: Hands,
    pub dead_letters: DeadLetters,
    pub tail: WatermarkTail,
    pub board: Board,
    pub gather: Gather,
    pub ownership: Ownership,
    pub cache_bytes: usize,
}

/// What tasks beside the cycle tell it.
#[derive(Debug)]
enum Report {
    Loaded(Loaded),
    /// The index of this build is gone, or another one.
    Lost(BuildId),
    Page {
        page: Page,
        seen: Box<LaneSeqs>,
    },
    /// A build was refreshed on the side, or was not.
    Refreshed {
        build: BuildId,
        lanes: Option<Applied>,
    },
}

#[derive(Debug, thiserror::Error)]
enum CycleError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Ending(#[from] Ending),
}

/// The live cycle.
#[derive(Debug)]
pub struct Cycle {
    parts: Parts,
    feeds: BTreeMap<BuildId, Feed>,
    intake: Intake,
    cache: DocumentCache,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    fills: (mpsc::Sender<FillReport>, mpsc::Receiver<FillReport>),
    page: Option<AbortOnDropHandle<()>>,
    /// More waits than one cycle takes.
    far_behind: bool,
}

impl Cycle {
    pub fn new(parts: Parts) -> Self {
        Self {
            cache: DocumentCache::new(parts.cache_bytes),
            parts,
            feeds: BTreeMap::new(),
            intake: Intake::new(),
            reports: mpsc::channel(REPORTS),
            fills: mpsc::channel(REPORTS),
            page: None,
            far_behind: false,
        }
    }

    /// Runs until `shutdown`; an error means that the history is another one.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Ending> {
        let live = async {
            let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
            loop {
                match self.turn().await {
                    Ok(()) => backoff.reset(),
                    Err(CycleError::Ending(ending)) => return Err(ending),
                    Err(CycleError::Sink(error)) => {
                        tracing::warn!(error = %Chain(&error), "back to the checkpoints");
                        self.back_to_checkpoints();
                        backoff.pause().await;
                    }
                }
            }
        };
        shutdown.run_until_cancelled(live).await.unwrap_or(Ok(()))
    }

    /// One cycle, or a wait until there is something to do.
    async fn turn(&mut self) -> Result<(), CycleError> {
        self.follow_assignment()?;
        self.follow_builds();
        self.take_reports()?;
        let arrivals = self.parts.gather.take(MAX_RECORDS, MAX_BYTES);
        self.intake.take_arrivals(arrivals)?;
        self.intake
            .watch_heads(&self.parts.board.heads().seqs, &mut self.feeds);
        let runs = self.intake.plan(&mut self.feeds);
        let wanted = self.ask_table();
        self.far_behind = wanted || self.parts.gather.len() >= MAX_RECORDS;
        let is_idle = runs.is_empty();
        if !is_idle {
            let started = clock::instant();
            self.project(runs).await?;
            metrics::cycle(started.elapsed());
        }
        let shown = self.show().await?;
        self.parts.board.set_offsets(self.intake.offsets());
        metrics::cache(self.cache.len(), self.cache.bytes());
        if is_idle && !shown {
            self.wait().await?;
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), CycleError> {
        let (gather, ownership) = (&self.parts.gather, &mut self.parts.ownership);
        let report = tokio::select! {
            () = gather.arrived() => {
                tokio::time::sleep(GATHER).await;
                return Ok(());
            }
            report = self.reports.1.recv() => report,
            fill = self.fills.1.recv() => {
                fill.into_iter().for_each(|fill| self.take_fill(fill));
                return Ok(());
            }
            () = ownership.changed() => return Ok(()),
            () = tokio::time::sleep(TICK) => return Ok(()),
        };
        report
            .into_iter()
            .try_for_each(|report| self.take_report(report))
    }

    fn take_reports(&mut self) -> Result<(), CycleError> {
        while let Ok(report) = self.reports.1.try_recv() {
            self.take_report(report)?;
        }
        while let Ok(fill) = self.fills.1.try_recv() {
            self.take_fill(fill);
        }
        Ok(())
    }

    fn take_report(&mut self, report: Report) -> Result<(), CycleError> {
        match report {
            Report::Loaded(loaded) => self.take_loaded(loaded)?,
            Report::Lost(build) => self.lose(build),
            Report::Refreshed { build, lanes } => self.take_refreshed(build, lanes),
            Report::Page { page, seen } => {
                self.page = None;
                self.intake.take_page(page, &seen)?;
            }
        }
        Ok(())
    }

    /// Asks the table for what builds want, once at a time. True when something is wanted.
    fn ask_table(&mut self) -> bool {
        let wanted = Intake::wanted(&mut self.feeds);
        if wanted.is_empty() || self.page.is_some() {
            return !wanted.is_empty();
        }
        let seen = Box::new(self.intake.seen());
        let (pool, reports) = (self.parts.pool.clone(), self.reports.0.clone());
        let asking = tokio::spawn(async move {
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
        self.page = Some(AbortOnDropHandle::new(asking));
        true
    }

    async fn project(&mut self, mut runs: Vec<LaneRun>) -> Result<(), CycleError> {
        let mut large = Large::new();
        while !runs.is_empty() {
            self.fold_segment(&mut runs, &mut large).await?;
            self.drop_ended(&mut runs);
            if !runs.is_empty() {
                self.pass_barriers(&mut runs).await?;
                self.drop_ended(&mut runs);
            }
        }
        Ok(())
    }

    fn drop_ended(&mut self, runs: &mut Vec<LaneRun>) {
        runs.retain(|run| {
            let follows = self
                .feeds
                .get_mut(&run.build)
                .and_then(|feed| feed.follows(run.lane));
            follows.is_some() && !run.rest().is_empty()
        });
    }
}
