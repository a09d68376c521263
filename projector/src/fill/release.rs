//! Handing filled lanes over: refreshed first, on the side, so that the fill goes on meanwhile.

use std::time::Duration;

use chassis::clock;
use chassis::telemetry::Chain;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::fresh::{FillReport, Filled};
use crate::sink::{Sink, Target};

/// Refreshing more often would make many small segments.
const EVERY: Duration = Duration::from_secs(2);

/// Releases lanes, some at a time.
#[derive(Debug)]
pub(super) struct Release {
    sink: Sink,
    target: Target,
    reports: mpsc::Sender<FillReport>,
    ready: Vec<Filled>,
    begun: Instant,
    running: Option<AbortOnDropHandle<()>>,
}

impl Release {
    pub(super) fn new(sink: Sink, target: Target, reports: mpsc::Sender<FillReport>) -> Self {
        Self {
            sink,
            target,
            reports,
            ready: Vec::new(),
            begun: clock::instant(),
            running: None,
        }
    }

    /// Adds a lane, all of which is acknowledged.
    pub(super) fn add(&mut self, lane: Filled) {
        self.ready.push(lane);
        let rests = self.begun.elapsed() >= EVERY;
        let is_free = self
            .running
            .as_ref()
            .is_none_or(AbortOnDropHandle::is_finished);
        if rests && is_free {
            self.begin();
        }
    }

    /// Hands over what is left.
    pub(super) async fn finish(mut self) {
        if let Some(running) = self.running.take() {
            running.await.ok();
        }
        if !self.ready.is_empty() {
            self.begin();
        }
        if let Some(running) = self.running.take() {
            running.await.ok();
        }
    }

    fn begin(&mut self) {
        self.begun = clock::instant();
        let mut lanes = std::mem::take(&mut self.ready);
        let (sink, target) = (self.sink.clone(), self.target.clone());
        let reports = self.reports.clone();
        let running = tokio::spawn(async move {
            let refreshed = sink.refresh(&[&target.index]).await;
            if let Err(error) = &refreshed {
                tracing::warn!(error = %Chain(error), "a filled build is not refreshed yet");
            }
            for lane in &mut lanes {
                lane.refreshed = refreshed.is_ok();
            }
            reports.send(FillReport::Filled(lanes)).await.ok();
        });
        self.running = Some(AbortOnDropHandle::new(running));
    }
}
