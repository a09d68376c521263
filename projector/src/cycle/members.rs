//! Lanes and builds that come and go, between cycles only.

use std::collections::btree_map::Entry;

use super::Cycle;
use super::feed::{Feed, LaneFeed};
use crate::builds::{self, FedBuild};
use crate::cache::BuildId;
use crate::ending::Ending;
use crate::metrics;

impl Cycle {
    /// Lanes that come or go, or did both, start anew.
    pub(super) fn follow_assignment(&mut self) -> Result<(), Ending> {
        if self.parts.ownership.outgrown() {
            return Err(Ending::Outgrown);
        }
        let changed = self.intake.assign(&self.parts.ownership);
        if changed.is_empty() {
            return Ok(());
        }
        for feed in self.feeds.values_mut() {
            feed.retain(|lane, _| !changed.contains(&lane));
        }
        self.cache.retain(|_, lane| !changed.contains(&lane));
        self.parts.board.retain(|_, lane| !changed.contains(&lane));
        for id in self.feeds.keys().copied().collect::<Vec<_>>() {
            self.load_missing(id);
        }
        Ok(())
    }

    /// Begins to feed builds that were announced, and ends with those that were retired.
    pub(super) fn follow_builds(&mut self) {
        let fed = self.parts.tail.read(builds::fed);
        let ids: Vec<BuildId> = fed.iter().map(id_of).collect();
        let before = self.feeds.len();
        self.feeds.retain(|id, feed| {
            let kept = ids.contains(id);
            feed.retain(|_, _| kept);
            kept
        });
        if self.feeds.len() != before {
            self.cache.retain(|id, _| ids.contains(&id));
            self.parts.board.retain(|id, _| ids.contains(&id));
        }
        for build in fed {
            let id = id_of(&build);
            if let Entry::Vacant(slot) = self.feeds.entry(id) {
                tracing::info!(build = %id, "a build is fed");
                slot.insert(Feed::new(build));
                self.load_missing(id);
            }
        }
    }

    /// The index is gone: nothing more is written to it.
    pub(super) fn lose(&mut self, build: BuildId) {
        let Some(feed) = self.feeds.get_mut(&build) else {
            return;
        };
        if !feed.lost {
            tracing::error!(build = %build, "the index of a build is gone: the build is lost");
            metrics::build_lost(build);
        }
        feed.lost = true;
        feed.retain(|_, _| false);
        feed.tasks.abort_all();
        self.cache.retain(|id, _| id != build);
        self.parts.board.retain(|id, _| id != build);
    }

    /// Forgets what is not safely behind a checkpoint, and reads the checkpoints again.
    pub(super) fn back_to_checkpoints(&mut self) {
        self.cache.clear();
        self.intake.forget_waiting();
        for id in self.feeds.keys().copied().collect::<Vec<_>>() {
            if let Some(feed) = self.feeds.get_mut(&id) {
                feed.unrefreshed = true;
                feed.retain(|_, lane| !matches!(lane, LaneFeed::Following(_)));
            }
            self.load_missing(id);
        }
        self.report();
    }
}

fn id_of(build: &FedBuild) -> BuildId {
    BuildId {
        view: build.view,
        number: build.number,
    }
}
