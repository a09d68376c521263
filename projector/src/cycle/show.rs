//! Refreshing what was acknowledged, and saying so on the board.
//!
//! Rarely while far behind or while a build is being filled; at once when somebody could be waiting.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::clock;
use chassis::telemetry::Chain;
use schemas::lane::Lane;

use super::feed::{Applied, Feed};
use super::{Cycle, Report};
use crate::cache::BuildId;
use crate::project::Stopped;
use crate::sink::SinkError;
use crate::{crash, metrics};

const PACE: Duration = Duration::from_secs(1);

impl Cycle {
    /// Makes visible what is due. True when anything was refreshed.
    pub(super) async fn show(&mut self) -> Result<bool, SinkError> {
        for build in self.due(true) {
            self.begin_refresh(build);
        }
        let due = self.due(false);
        self.refresh(&due).await?;
        self.report();
        Ok(!due.is_empty())
    }

    /// Refreshes a build that is being filled on the side: it takes long, and nobody reads it yet.
    fn begin_refresh(&mut self, build: BuildId) {
        let Some(feed) = self.feeds.get_mut(&build) else {
            return;
        };
        feed.unrefreshed = false;
        feed.refreshing = true;
        feed.refreshed_at = Some(clock::instant());
        let lanes = feed.applied();
        let index = feed.target.index.clone();
        let (sink, reports) = (self.parts.sink.clone(), self.reports.0.clone());
        feed.tasks.spawn(async move {
            let refreshed = sink.refresh(&[&index]).await;
            if let Err(error) = &refreshed {
                tracing::warn!(error = %Chain(error), "a build is not refreshed yet");
            }
            let lanes = refreshed.is_ok().then_some(lanes);
            reports.send(Report::Refreshed { build, lanes }).await.ok();
        });
    }

    /// All that was acknowledged before is visible, of these lanes, or of none.
    pub(super) fn take_refreshed(&mut self, build: BuildId, lanes: Option<Applied>) {
        let Some(feed) = self.feeds.get_mut(&build) else {
            return;
        };
        feed.refreshing = false;
        feed.unrefreshed |= lanes.is_none();
        for (lane, (seq, recorded_at)) in lanes.into_iter().flatten() {
            let Some(progress) = feed.progress(lane) else {
                continue;
            };
            // A lane that began anew since may not have come so far again.
            if progress.applied >= seq && progress.visible < Some(seq) {
                progress.visible = Some(seq);
                progress.covered_recorded_at = recorded_at;
            }
        }
    }

    /// Refreshes these builds: all that was acknowledged in them before is visible after it.
    pub(super) async fn refresh(&mut self, builds: &[BuildId]) -> Result<(), SinkError> {
        let indexes: Vec<_> = builds
            .iter()
            .filter_map(|id| Some(self.feeds.get(id)?.target.index.clone()))
            .collect();
        if indexes.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = indexes.iter().map(AsRef::as_ref).collect();
        let started = clock::instant();
        self.parts.sink.refresh(&names).await?;
        metrics::refreshed(started.elapsed());
        crash::point("after-refresh");
        for id in builds {
            if let Some(feed) = self.feeds.get_mut(id) {
                feed.unrefreshed = false;
                feed.refreshed_at = Some(clock::instant());
                feed.shows_all();
            }
        }
        Ok(())
    }

    /// Refreshes those of these builds whose searches may not show all that was written.
    pub(super) async fn refresh_written(
        &mut self,
        builds: BTreeSet<BuildId>,
    ) -> Result<(), SinkError> {
        let written: Vec<BuildId> = builds
            .into_iter()
            .filter(|id| self.feeds.get(id).is_some_and(Feed::may_hide_writes))
            .collect();
        self.refresh(&written).await
    }

    fn due(&self, filling: bool) -> Vec<BuildId> {
        let paced = self.far_behind || filling;
        let due = self.feeds.values().filter(|feed| {
            let follows = !feed.lost && !feed.lanes.is_empty();
            let rested = feed.refreshed_at.is_none_or(|at| at.elapsed() >= PACE);
            let is_due = feed.unrefreshed && (rested || !paced);
            follows && is_due && feed.is_filling() == filling && !(filling && feed.refreshing)
        });
        due.map(Feed::id).collect()
    }

    /// Tells the board how all lanes stand. Where nothing was written since the last refresh, what
    /// was passed over is visible as well.
    pub(super) fn report(&mut self) {
        for (id, feed) in &mut self.feeds {
            if !feed.may_hide_writes() {
                feed.shows_all();
            }
            let mut lanes = feed.standing();
            for (lane, of_lane) in &mut lanes {
                of_lane.published = self.intake.published(*lane);
            }
            self.parts.board.report(*id, &feed.index_uuid, lanes);
        }
    }

    /// A lane of a build stands still: counted, recorded where it is poison, alerted.
    pub(super) fn mourn(&mut self, build: BuildId, lane: Lane, stopped: &Stopped) {
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
            self.parts
                .dead_letters
                .record(build, lane, (*seq, *event_id), reason);
        }
    }
}
