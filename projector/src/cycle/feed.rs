//! The feed of one build: what has arrived of each lane, where each lane stands, what comes next.
//!
//! Entries beyond a gap wait here for what the table brings, within bounds: what is dropped, the
//! table brings as well. Nothing here writes or waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::lane::{Lane, LaneSeqs};

use super::inbox::Taken;
use super::lane::{LaneFeed, Phase, Progress};
use super::load::Loaded;
use super::run::LaneRun;
use crate::board::{Covered, OfLane};
use crate::cache::BuildId;
use crate::consume::Ownership;
use crate::ending::Ending;
use crate::fill::{Filled, Life, Page, Wanted};
use crate::metrics;
use crate::project::{LogEntry, Stopped, next_run};

/// A build that is this many events behind is not refreshed at once: nobody waits for what is so far back.
const FAR_BEHIND: u64 = 2_000;

/// All lanes of a build that are ours.
#[derive(Debug)]
pub(super) struct Feed {
    build: BuildId,
    lanes: BTreeMap<Lane, LaneFeed>,
    /// Lanes whose standing is not on the board yet.
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

    /// Lets go of lanes that are ours no more or under another assignment, and names them.
    pub(super) fn follow_assignment(&mut self, ownership: &Ownership) -> BTreeSet<Lane> {
        let gone: BTreeSet<Lane> = self
            .lanes
            .iter()
            .filter(|(lane, feed)| ownership.number(**lane) != Some(feed.life))
            .map(|(lane, _)| *lane)
            .collect();
        self.drop_lanes(|lane, _| gone.contains(&lane));
        gone
    }

    /// Begins with the lanes that are ours and not fed yet: their checkpoints are to be read.
    pub(super) fn begin_missing(&mut self, ownership: &Ownership) -> Vec<Life> {
        let missing = Lane::all().filter(|lane| !self.lanes.contains_key(lane));
        let lives: Vec<Life> = missing
            .filter_map(|lane| Some((lane, ownership.number(lane)?)))
            .collect();
        for (lane, life) in &lives {
            self.lanes.insert(*lane, LaneFeed::new(*life));
            self.moved.insert(*lane);
        }
        lives
    }

    /// Forgets the lanes that follow the live log: they begin at their checkpoints again.
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

    /// Lanes with a checkpoint follow from there. Names the others, which are to be filled.
    pub(super) fn take_loaded(&mut self, loaded: &Loaded) -> Result<Vec<Life>, Ending> {
        let mut fresh = Vec::new();
        for (lane, life) in &loaded.lives {
            let feed = self.lanes.get_mut(lane).filter(|feed| feed.life == *life);
            let Some(feed) = feed.filter(|feed| matches!(feed.phase, Phase::Loading)) else {
                continue;
            };
            self.moved.insert(*lane);
            if let Some((seq, event_id)) = loaded.checkpoints.get(lane) {
                feed.remember(*lane, *seq, *event_id)?;
                feed.phase = Phase::Following(Progress::from_checkpoint(*seq, *event_id));
            } else {
                feed.phase = Phase::Filling;
                fresh.push((*lane, *life));
            }
        }
        Ok(fresh)
    }

    /// Follows a lane from where a fill has come to. False where the lane is another's by now.
    pub(super) fn take_filled(&mut self, filled: Filled) -> bool {
        let (lane, life) = filled.life;
        let feed = self.lanes.get_mut(&lane).filter(|feed| feed.life == life);
        let Some(feed) = feed.filter(|feed| matches!(feed.phase, Phase::Filling)) else {
            return false;
        };
        feed.phase = Phase::Following(Progress::from_fill(filled));
        self.moved.insert(lane);
        true
    }

    /// Takes in records of the events topic.
    pub(super) fn take_arrivals(&mut self, taken: Taken) -> Result<(), Ending> {
        for (life, entry) in taken.entries {
            let lane = entry.position.lane;
            let Some(feed) = self.lanes.get_mut(&lane).filter(|feed| feed.life == life) else {
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

    /// Takes in a page of the table; `seen` is from before it was asked.
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

    /// What is folded next. What waits beyond a gap stays.
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
                runs.push(LaneRun::new((*lane, feed.life), Arc::clone(&entries), run));
            }
        }
        runs
    }

    /// Moves a lane to where its run has come. Names why it stands still, where it now does.
    pub(super) fn settle(&mut self, run: LaneRun) -> Option<Stopped> {
        let (lane, life) = run.life;
        let feed = self.lanes.get_mut(&lane).filter(|feed| feed.life == life)?;
        let progress = feed.follows()?;
        if let Some(last) = run.last() {
            progress.move_to(last);
        }
        progress.changed.add(run.changed);
        progress.stopped.clone_from(&run.stopped);
        self.moved.insert(lane);
        run.stopped
    }

    /// Where the table has to be asked, and from which known seq on.
    pub(super) fn wanted(&self) -> Wanted {
        let wanting = self.lanes.iter().filter_map(|(lane, feed)| {
            let progress = feed.progress()?;
            (progress.wants && progress.stopped.is_none()).then_some((*lane, progress.applied))
        });
        wanting.collect()
    }

    /// Highest seqs known to exist: what the table, asked after this, must have.
    pub(super) fn seen(&self) -> LaneSeqs {
        let lanes = self.lanes.iter();
        lanes.map(|(lane, feed)| (*lane, feed.seen)).collect()
    }

    /// Asks the table for lanes whose head is ahead while nothing of them arrives.
    pub(super) fn watch_heads(&mut self, heads: &LaneSeqs) {
        for (lane, feed) in &mut self.lanes {
            feed.watch_head(heads.get(*lane));
        }
    }

    /// True while the lanes that the table is asked for are far from their heads.
    pub(super) fn is_far_behind(&self, heads: &LaneSeqs) -> bool {
        let behind = self.wanted().into_iter();
        let behind: u64 = behind
            .map(|(lane, applied)| heads.get(lane).saturating_sub(applied))
            .sum();
        behind > FAR_BEHIND
    }

    /// What a refresh that is sent now will make visible, with the subjects changed in it.
    pub(super) fn cover(&mut self) -> BTreeMap<Lane, Covered> {
        let covered = self.lanes.iter_mut().filter_map(|(lane, feed)| {
            let life = feed.life;
            let Phase::Following(progress) = &mut feed.phase else {
                return None;
            };
            Some((*lane, progress.cover(life)))
        });
        covered.collect()
    }

    /// A refresh has shown this.
    pub(super) fn shown(&mut self, covered: &BTreeMap<Lane, Covered>) {
        for (lane, covered) in covered {
            if let Some(progress) = self.current(*lane, covered.life) {
                progress.show(covered.seq, covered.recorded_at);
            }
        }
    }

    /// A refresh has failed: what it would have shown is still to be told.
    pub(super) fn not_shown(&mut self, covered: &BTreeMap<Lane, Covered>) {
        for (lane, covered) in covered {
            if let Some(progress) = self.current(*lane, covered.life) {
                progress.changed.merge(covered.changed.clone());
            }
        }
    }

    fn current(&mut self, lane: Lane, life: u64) -> Option<&mut Progress> {
        let feed = self.lanes.get_mut(&lane).filter(|feed| feed.life == life)?;
        match &mut feed.phase {
            Phase::Following(progress) => Some(progress),
            Phase::Loading | Phase::Filling => None,
        }
    }

    /// Nothing written is hidden: what was passed over is visible as well.
    pub(super) fn shows_all(&mut self) {
        for (lane, feed) in &mut self.lanes {
            if let Phase::Following(progress) = &mut feed.phase
                && progress.visible != Some(progress.applied)
            {
                progress.show(progress.applied, progress.recorded_at);
                self.moved.insert(*lane);
            }
        }
    }

    /// How those lanes stand that moved since this was asked last.
    pub(super) fn standing(&mut self) -> Vec<(Lane, OfLane)> {
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
