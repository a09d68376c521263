//! Background work of a build: reading checkpoints and pages of the event table, and filling lanes.
//! Its results come back as reports, which the build takes between batches.

use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use deadpool_postgres::Pool;
use schemas::lane::LaneSeqs;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::load::{Load, Loaded};
use crate::config::MAX_FILL_REPORTS;
use crate::fill::{FillReport, FreshFill, Page, Wanted, read_page};

#[derive(Debug)]
pub(super) enum Report {
    /// None if the index is missing or has another UUID.
    Loaded(Option<Loaded>),
    Page {
        page: Page,
        /// The highest known seqs from before the page was read.
        seen: Box<LaneSeqs>,
    },
    Fill(FillReport),
}

/// Dropping it ends the work.
#[derive(Debug)]
pub(super) struct Background {
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    fills: (mpsc::Sender<FillReport>, mpsc::Receiver<FillReport>),
    tasks: JoinSet<()>,
    is_reading_table: bool,
}

impl Background {
    pub(super) fn new() -> Self {
        Self {
            reports: mpsc::channel(MAX_FILL_REPORTS),
            fills: mpsc::channel(MAX_FILL_REPORTS),
            tasks: JoinSet::new(),
            is_reading_table: false,
        }
    }

    /// Waits for a report.
    pub(super) async fn next(&mut self) -> Option<Report> {
        let report = tokio::select! {
            report = self.reports.1.recv() => report,
            fill = self.fills.1.recv() => fill.map(Report::Fill),
        };
        self.note(report)
    }

    pub(super) fn try_next(&mut self) -> Option<Report> {
        let report = self.reports.1.try_recv().ok();
        let report = report.or_else(|| self.fills.1.try_recv().ok().map(Report::Fill));
        self.note(report)
    }

    fn note(&mut self, report: Option<Report>) -> Option<Report> {
        if let Some(Report::Page { .. }) = report {
            self.is_reading_table = false;
        }
        report
    }

    pub(super) fn load(&mut self, load: Load) {
        let reports = self.reports.0.clone();
        self.tasks.spawn(async move {
            reports.send(Report::Loaded(load.run().await)).await.ok();
        });
    }

    pub(super) fn fill(&mut self, fill: FreshFill) {
        self.tasks.spawn(fill.run(self.fills.0.clone()));
    }

    /// Only one page is read at a time.
    pub(super) fn is_reading_table(&self) -> bool {
        self.is_reading_table
    }

    pub(super) fn read_table(&mut self, pool: Pool, wanted: Wanted, seen: LaneSeqs) {
        self.is_reading_table = true;
        let (seen, reports) = (Box::new(seen), self.reports.0.clone());
        self.tasks.spawn(async move {
            let mut backoff = Backoff::default();
            let page = loop {
                match read_page(&pool, &wanted).await {
                    Ok(page) => break page,
                    Err(error) => {
                        tracing::debug!(error = %Chain(&error), "retrying to read the event table");
                        backoff.pause().await;
                    }
                }
            };
            reports.send(Report::Page { page, seen }).await.ok();
        });
    }

    /// Lets go of tasks that have ended. A panic in one is a panic here: nobody would take its place.
    pub(super) fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "a fill panics")]
    async fn a_panic_in_the_background_does_not_pass_unnoticed() {
        let mut background = Background::new();
        background.tasks.spawn(async { panic!("a fill panics") });
        while !background.tasks.is_empty() {
            background.reap();
            tokio::task::yield_now().await;
        }
    }
}
