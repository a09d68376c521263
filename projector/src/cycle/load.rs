//! Beginning with lanes: from their checkpoint, or with a fill where there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::elasticsearch::ElasticsearchError;
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use schemas::lane::{Lane, Seq};
use uuid::Uuid;

use super::feed::{LaneFeed, Progress};
use super::{Cycle, Report};
use crate::cache::BuildId;
use crate::checkpoint::{CheckpointError, Checkpoints};
use crate::ending::Ending;
use crate::fill::{FillReport, FreshFill, Life};

/// The checkpoints of a build's lanes, where they have one.
#[derive(Debug)]
pub(super) struct Loaded {
    build: BuildId,
    lives: Vec<Life>,
    checkpoints: BTreeMap<Lane, (Seq, Uuid)>,
}

/// Reads checkpoints, and sees that the index is still the one that was announced.
struct Load {
    build: BuildId,
    index: String,
    index_uuid: String,
    lives: Vec<Life>,
    checkpoints: Checkpoints,
    elasticsearch: chassis::elasticsearch::Elasticsearch,
}

impl Cycle {
    /// Begins to load the lanes that are ours and that the build has not got.
    pub(super) fn load_missing(&mut self, build: BuildId) {
        let Some(feed) = self.feeds.get_mut(&build).filter(|feed| !feed.lost) else {
            return;
        };
        while feed.tasks.try_join_next().is_some() {}
        let missing = Lane::all().filter(|lane| !feed.lanes.contains_key(lane));
        let lives: Vec<Life> = missing
            .filter_map(|lane| Some((lane, self.intake.number(lane)?)))
            .collect();
        if lives.is_empty() {
            return;
        }
        feed.unrefreshed = true;
        feed.lanes
            .extend(lives.iter().map(|(lane, _)| (*lane, LaneFeed::Loading)));
        let load = Load {
            build,
            index: feed.target.index.to_string(),
            index_uuid: feed.index_uuid.clone(),
            lives,
            checkpoints: self.parts.hands.checkpoints.clone(),
            elasticsearch: self.parts.sink.elasticsearch().clone(),
        };
        let reports = self.reports.0.clone();
        feed.tasks.spawn(async move {
            let report = load.run().await;
            reports.send(report).await.ok();
        });
        self.report();
    }

    /// Lanes with a checkpoint follow from there; the others are filled.
    pub(super) fn take_loaded(&mut self, loaded: Loaded) -> Result<(), Ending> {
        let Loaded {
            build,
            lives,
            checkpoints,
        } = loaded;
        let Some(feed) = self.feeds.get_mut(&build) else {
            return Ok(());
        };
        let mut fresh = Vec::new();
        for (lane, number) in lives {
            let current = self.intake.number(lane) == Some(number);
            let Some(slot @ LaneFeed::Loading) = feed.lanes.get_mut(&lane).filter(|_| current)
            else {
                continue;
            };
            match checkpoints.get(&lane) {
                Some((seq, event_id)) => {
                    self.intake.remember(lane, *seq, *event_id)?;
                    // Who was here before may have written after our last refresh.
                    feed.unrefreshed = true;
                    *slot = LaneFeed::Following(Progress::from_checkpoint(*seq, *event_id));
                }
                None => {
                    *slot = LaneFeed::Filling;
                    fresh.push((lane, number));
                }
            }
        }
        if !fresh.is_empty() {
            let (hands, fills) = (self.parts.hands.clone(), self.fills.0.clone());
            let (target, index_uuid) = (feed.target.clone(), feed.index_uuid.clone());
            tracing::info!(build = %build, lane.count = fresh.len(), "lanes are filled");
            let fill = FreshFill {
                hands,
                target,
                index_uuid,
                lanes: fresh,
            };
            feed.tasks.spawn(fill.run(fills));
        }
        Ok(())
    }

    /// Follows lanes from where a fill has come to.
    pub(super) fn take_fill(&mut self, report: FillReport) {
        let filled = match report {
            FillReport::Lost(build) => return self.lose(build),
            FillReport::Filled(filled) => filled,
        };
        for lane in filled {
            let (of, number) = lane.life;
            let current = self.intake.number(of) == Some(number);
            let Some(feed) = self.feeds.get_mut(&lane.build).filter(|_| current) else {
                continue;
            };
            if let Some(slot @ LaneFeed::Filling) = feed.lanes.get_mut(&of) {
                feed.unrefreshed |= !lane.refreshed;
                let stopped = lane.stopped.clone();
                let build = lane.build;
                *slot = LaneFeed::Following(Progress::from_fill(lane));
                if let Some(stopped) = stopped {
                    self.mourn(build, of, &stopped);
                }
            }
        }
    }
}

impl Load {
    async fn run(self) -> Report {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match self.load().await {
                Ok(Some(loaded)) => return Report::Loaded(loaded),
                Ok(None) => return Report::Lost(self.build),
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "checkpoints are asked for again");
                    backoff.pause().await;
                }
            }
        }
    }

    /// None where the index is gone, or another one.
    async fn load(&self) -> Result<Option<Loaded>, CheckpointError> {
        let uuid: Result<_, ElasticsearchError> = self.elasticsearch.index_uuid(&self.index).await;
        if uuid?.as_ref() != Some(&self.index_uuid) {
            return Ok(None);
        }
        let lanes: Vec<Lane> = self.lives.iter().map(|(lane, _)| *lane).collect();
        let checkpoints = self.checkpoints.load(&self.index_uuid, &lanes).await?;
        Ok(Some(Loaded {
            build: self.build,
            lives: self.lives.clone(),
            checkpoints,
        }))
    }
}
