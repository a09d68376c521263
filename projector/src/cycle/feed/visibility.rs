//! What refreshes have made visible of a build's lanes.

use std::collections::BTreeMap;

use schemas::lane::Lane;

use super::Feed;
use crate::board::Covered;
use crate::cycle::lane::{Phase, Progress};

impl Feed {
    /// What a refresh sent now will make visible, with the changed subjects.
    pub(in crate::cycle) fn cover(&mut self) -> BTreeMap<Lane, Covered> {
        let covered = self.lanes.iter_mut().filter_map(|(lane, feed)| {
            let assignment = feed.assignment;
            let Phase::Following(progress) = &mut feed.phase else {
                return None;
            };
            Some((*lane, progress.cover(assignment)))
        });
        covered.collect()
    }

    /// A refresh has made this visible.
    pub(in crate::cycle) fn shown(&mut self, covered: &BTreeMap<Lane, Covered>) {
        for (lane, covered) in covered {
            if let Some(progress) = self.current(*lane, covered.assignment) {
                progress.show(covered.seq, covered.recorded_at);
            }
        }
    }

    /// A refresh has failed: its changed subjects are kept for the next one.
    pub(in crate::cycle) fn not_shown(&mut self, covered: &BTreeMap<Lane, Covered>) {
        for (lane, covered) in covered {
            if let Some(progress) = self.current(*lane, covered.assignment) {
                progress.changed.merge(covered.changed.clone());
            }
        }
    }

    fn current(&mut self, lane: Lane, assignment: u64) -> Option<&mut Progress> {
        let feed = self
            .lanes
            .get_mut(&lane)
            .filter(|feed| feed.assignment == assignment)?;
        match &mut feed.phase {
            Phase::Following(progress) => Some(progress),
            Phase::Loading | Phase::Filling => None,
        }
    }

    /// Everything written is visible, and so are positions without a change.
    pub(in crate::cycle) fn shows_all(&mut self) {
        for (lane, feed) in &mut self.lanes {
            if let Phase::Following(progress) = &mut feed.phase
                && progress.visible != Some(progress.applied)
            {
                progress.show(progress.applied, progress.recorded_at);
                self.moved.insert(*lane);
            }
        }
    }
}
