//! The feed of one build: the entries that have arrived for each lane, its progress, and what comes
//! next.
//!
//! Entries beyond a gap wait here until the event table fills the gap. Their number is bounded:
//! dropped entries are read from the table too. Nothing here does IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::lane::{Lane, LaneSeqs};

use super::inbox::Taken;
use super::lane::{LaneFeed, Phase, Progress};
use super::load::Loaded;
use super::run::LaneRun;
use crate::board::OfLane;
use crate::build_id::BuildId;
use crate::config::FAR_BEHIND_EVENTS;
use crate::consume::Ownership;
use crate::ending::Ending;
use crate::fill::{Filled, LaneAssignment, Page, Wanted};
use crate::metrics;
use crate::project::{LogEntry, Stopped, next_run};

mod visibility;

/// All lanes of a build that this process owns.
#[derive(Debug)]
pub(super) struct Feed {
    build: BuildId,
    lanes: BTreeMap<Lane, LaneFeed>,
    /// Lanes whose progress is not on the board yet.
    moved: BTreeSet<Lane>,
}

impl Feed {
    pub(super) fn new(build: BuildId) -> Self {
        Self {
            build,
            lanes: BTreeMap::new(),
            moved: BTreeSet::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    pub(super) fn is_filling(&self) -> bool {
        let mut lanes = self.lanes.values();
        lanes.any(|lane| matches!(lane.phase, Phase::Filling))
    }

    /// Drops and returns lanes that were revoked or assigned again.
    pub(super) fn follow_assignment(&mut self, ownership: &Ownership) -> BTreeSet<Lane> {
        let gone: BTreeSet<Lane> = self
            .lanes
            .iter()
            .filter(|(lane, feed)| ownership.number(**lane) != Some(feed.assignment))
            .map(|(lane, _)| *lane)
            .collect();
        self.drop_lanes(|lane, _| gone.contains(&lane));
        gone
    }

    /// Adds newly owned lanes and returns them: their checkpoints are to be read.
    pub(super) fn begin_missing(&mut self, ownership: &Ownership) -> Vec<LaneAssignment> {
        let missing = Lane::all().filter(|lane| !self.lanes.contains_key(lane));
        let assignments: Vec<LaneAssignment> = missing
            .filter_map(|lane| Some((lane, ownership.number(lane)?)))
            .collect();
        for (lane, assignment) in &assignments {
            self.lanes.insert(*lane, LaneFeed::new(*assignment));
            self.moved.insert(*lane);
        }
        assignments
    }

    /// Drops the lanes that follow the live log: they restart from their checkpoints.
    pub(super) fn restart(&mut self) {
        self.drop_lanes(|_, feed| matches!(feed.phase, Phase::Following(_)));
    }

    pub(super) fn clear(&mut self) {
        self.drop_lanes(|_, _| true);
    }

    fn drop_lanes(&mut self, is_gone: impl Fn(Lane, &LaneFeed) -> bool) {
        let build = self.build;
        self.lanes.retain(|lane, feed| {
            let gone = is_gone(*lane, feed);
            if let (true, Phase::Following(progress)) = (gone, &feed.phase)
                && let Some(stopped) = &progress.stopped
            {
                metrics::lane_not_stopped(build, *lane, stopped);
            }
            !gone
        });
        self.moved.retain(|lane| self.lanes.contains_key(lane));
    }

    /// Lanes with a checkpoint follow from there. Returns the others, which are to be filled.
    pub(super) fn take_loaded(&mut self, loaded: &Loaded) -> Result<Vec<LaneAssignment>, Ending> {
        let mut fresh = Vec::new();
        for (lane, assignment) in &loaded.assignments {
            let feed = self
                .lanes
                .get_mut(lane)
                .filter(|feed| feed.assignment == *assignment);
            let Some(feed) = feed.filter(|feed| matches!(feed.phase, Phase::Loading)) else {
                continue;
            };
            self.moved.insert(*lane);
            if let Some((seq, event_id)) = loaded.checkpoints.get(lane) {
                feed.remember(*lane, *seq, *event_id)?;
                feed.phase = Phase::Following(Progress::from_checkpoint(*seq, *event_id));
            } else {
                feed.phase = Phase::Filling;
                fresh.push((*lane, *assignment));
            }
        }
        Ok(fresh)
    }

    /// Follows a lane from the position that its fill has reached. False if it was reassigned.
    pub(super) fn take_filled(&mut self, filled: Filled) -> bool {
        let (lane, assignment) = filled.assignment;
        let feed = self
            .lanes
            .get_mut(&lane)
            .filter(|feed| feed.assignment == assignment);
        let Some(feed) = feed.filter(|feed| matches!(feed.phase, Phase::Filling)) else {
            return false;
        };
        feed.phase = Phase::Following(Progress::from_fill(filled));
        self.moved.insert(lane);
        true
    }

    /// Takes records of the events topic.
    pub(super) fn take_arrivals(&mut self, taken: Taken) -> Result<(), Ending> {
        for (assignment, entry) in taken.entries {
            let lane = entry.position.lane;
            let Some(feed) = self
                .lanes
                .get_mut(&lane)
                .filter(|feed| feed.assignment == assignment)
            else {
                continue;
            };
            feed.arrive(entry)?;
            self.moved.insert(lane);
        }
        for (lane, seq) in taken.dropped {
            if let Some(progress) = self.lanes.get_mut(&lane).and_then(LaneFeed::follows) {
                progress.wants |= progress.applied < seq;
            }
        }
        Ok(())
    }

    /// Takes a page of the event table. `seen` is from before the page was read.
    pub(super) fn take_page(&mut self, page: Page, seen: &LaneSeqs) -> Result<(), Ending> {
        for (lane, (entries, extent)) in page.lanes {
            let Some(feed) = self.lanes.get_mut(&lane) else {
                continue;
            };
            let first = entries.first().map_or(0, LogEntry::seq);
            if !extent.dense {
                return Err(Ending::not_dense(lane, first));
            }
            if extent.exhausted && extent.last < seen.get(lane) {
                return Err(Ending::beyond_head(lane, seen.get(lane), extent.last));
            }
            metrics::filled(entries.len());
            feed.take_page(entries, extent)?;
        }
        Ok(())
    }

    /// The entries to fold next. Entries beyond a gap stay.
    pub(super) fn plan(&mut self) -> Vec<LaneRun> {
        let mut runs = Vec::new();
        for (lane, feed) in &mut self.lanes {
            let extent = feed.extent.take();
            if feed.waiting.is_empty() && extent.is_none() {
                continue;
            }
            let entries = feed.sorted();
            let Some(progress) = feed.follows() else {
                continue;
            };
            let run = next_run(progress.applied, &entries);
            progress.plan(run.to - run.from, run.gap, extent);
            if run.gap {
                feed.keep(&entries[run.to..]);
            }
            if run.from < run.to {
                runs.push(LaneRun::new(
                    (*lane, feed.assignment),
                    Arc::clone(&entries),
                    run,
                ));
            }
        }
        runs
    }

    /// Moves a lane to the end of its run. Returns why it stopped, if it did.
    pub(super) fn settle(&mut self, run: LaneRun) -> Option<Stopped> {
        let (lane, assignment) = run.assignment;
        let feed = self
            .lanes
            .get_mut(&lane)
            .filter(|feed| feed.assignment == assignment)?;
        let progress = feed.follows()?;
        if let Some(last) = run.last() {
            progress.move_to(last);
        }
        progress.changed.add(run.changed);
        progress.stopped.clone_from(&run.stopped);
        self.moved.insert(lane);
        run.stopped
    }

    /// Lanes to read from the event table, and the seq after which to read.
    pub(super) fn wanted(&self) -> Wanted {
        let wanting = self.lanes.iter().filter_map(|(lane, feed)| {
            let progress = feed.progress()?;
            (progress.wants && progress.stopped.is_none()).then_some((*lane, progress.applied))
        });
        wanting.collect()
    }

    /// The highest seqs known to exist: a page read after this must reach them.
    pub(super) fn seen(&self) -> LaneSeqs {
        let lanes = self.lanes.iter();
        lanes.map(|(lane, feed)| (*lane, feed.seen)).collect()
    }

    /// Marks lanes to be read from the table whose head is ahead while nothing arrives for them.
    pub(super) fn watch_heads(&mut self, heads: &LaneSeqs) {
        for (lane, feed) in &mut self.lanes {
            feed.watch_head(heads.get(*lane));
        }
    }

    /// True while the lanes that are read from the table are far behind their heads.
    pub(super) fn is_far_behind(&self, heads: &LaneSeqs) -> bool {
        let behind = self.wanted().into_iter();
        let behind: u64 = behind
            .map(|(lane, applied)| heads.get(lane).saturating_sub(applied))
            .sum();
        behind > FAR_BEHIND_EVENTS
    }

    /// The progress of lanes that moved since the last call.
    pub(super) fn take_progress(&mut self) -> Vec<(Lane, OfLane)> {
        let moved = std::mem::take(&mut self.moved).into_iter();
        moved
            .filter_map(|lane| Some((lane, self.lanes.get(&lane)?.standing())))
            .collect()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.clear();
    }
}
