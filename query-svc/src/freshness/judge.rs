//! The ladder's judgement, pure: is this read covered by what the watermark topic says, and if
//! not, what is missing?
//!
//! One judgement reads one state: build, index, watermarks and `G` belong together, so a switch
//! between deciding and reading changes nothing for the request.

use std::time::Duration;

use chassis::watermark_tail::{Goal, Level};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneSeqs, Position, Seq};
use schemas::view::View;
use schemas::watermark::{BuildState, LaneState, ViewState, WatermarkState};
use serde::Serialize;
use uuid::Uuid;

use super::need::Need;

/// What there is to judge.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub need: &'a Need,
    /// All that the endpoint reads.
    pub views: &'a [View],
    /// Of the document that is read, whose lane alone counts; none in a search, where all count.
    pub subject: Option<Uuid>,
    /// By this process's own time, as records were received: no clock of another machine counts.
    pub now: Duration,
}

/// Where a request stands: the builds that it reads and how far each was visible.
#[derive(Debug, Clone)]
pub struct Footing {
    pub epoch: Epoch,
    /// `G` as it is issued.
    pub offset: u64,
    /// What `G` of a tidemark is compared with.
    pub offset_read: u64,
    pub grounds: Vec<Ground>,
    /// Entries of the tidemark that every view shows, which it need not carry any longer.
    pub settled: Vec<Position>,
    /// The read asks for events that are held back for an operator.
    pub held: bool,
}

/// The active build of one view.
#[derive(Debug, Clone)]
pub struct Ground {
    pub view: View,
    pub build: u32,
    /// Its projection version.
    pub version: u32,
    pub index: String,
    pub visible: LaneSeqs,
    /// On every lane.
    pub floors_met: bool,
}

/// What is missing.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    pub lanes: Vec<LaneGap>,
    /// This replica has not followed the topic as far as the one that the client spoke to.
    pub offset_behind: bool,
    /// A view has no active build that can be read.
    pub without_build: bool,
    /// What would have to move has not been heard of for a while: waiting is in vain.
    pub stalled: bool,
    /// Entries beyond the heads that the projectors know: only the primary can say whether these
    /// events exist.
    pub doubtful: Vec<Position>,
}

/// A lane of a view that is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LaneGap {
    pub view: &'static str,
    pub lane: Lane,
    /// The entry, or the floor where that is higher.
    pub wanted: Seq,
    pub visible: Seq,
}

#[derive(Debug, Clone)]
pub enum Verdict {
    Covered(Footing),
    Behind {
        /// None where a view has no active build.
        footing: Option<Footing>,
        gap: Gap,
    },
}

impl Question<'_> {
    fn counts(&self, lane: Lane) -> bool {
        self.subject.is_none_or(|subject| lane == Lane::of(subject))
    }

    fn concerns(&self, held: Uuid) -> bool {
        self.subject.is_none_or(|subject| subject == held)
    }
}

impl Footing {
    /// The ground of a view. The ladder never stands without one for each view of the reading.
    pub fn ground(&self, view: View) -> &Ground {
        let mut grounds = self.grounds.iter();
        grounds
            .find(|ground| ground.view == view)
            .expect("a reading names every view that its handler reads")
    }
}

impl Gap {
    /// A view cannot be read at all.
    pub fn without_build() -> Self {
        Self {
            without_build: true,
            ..Self::default()
        }
    }

    /// True when a document of this version, read as last written, shows all that was asked of
    /// its lane. An entry that concerns another subject of the lane cannot be proven so.
    pub fn is_proven_by(&self, version: Seq) -> bool {
        let enough = |lane: &LaneGap| version >= lane.wanted;
        !self.offset_behind && !self.without_build && self.lanes.iter().all(enough)
    }

    /// What has to be reached before it is worth judging again. All that is missing has to come, so
    /// any one of it will do.
    pub fn goal(&self, need: &Need) -> Goal {
        if self.without_build {
            return BUILDS;
        }
        if self.offset_behind {
            let (level, height) = (Level::OffsetRead, need.offset());
            return Goal { level, height };
        }
        let lane = self.lanes.first().and_then(|lane| {
            let level = Level::Visible(View::from_name(lane.view)?, lane.lane);
            let height = lane.wanted;
            Some(Goal { level, height })
        });
        lane.unwrap_or(BUILDS)
    }
}

/// A change of builds, or the end of a topic that has a hole.
pub(super) const BUILDS: Goal = Goal {
    level: Level::Builds,
    height: 0,
};

/// Judges a read by the state of the watermark topic at this moment.
pub fn judge(state: &WatermarkState, question: Question<'_>) -> Verdict {
    let footing = stand(state, question);
    if !question.need.is_bound()
        && let Some(footing) = footing
    {
        return Verdict::Covered(footing);
    }
    let gap = measure(state, question);
    match footing {
        Some(footing) if !gap.offset_behind && gap.lanes.is_empty() => Verdict::Covered(footing),
        footing => Verdict::Behind {
            gap: Gap {
                without_build: footing.is_none(),
                // A topic that is being read moves; a view without an active build does not soon.
                stalled: gap.stalled || (footing.is_none() && state.is_complete()),
                ..gap
            },
            footing,
        },
    }
}

fn stand(state: &WatermarkState, question: Question<'_>) -> Option<Footing> {
    let Question { need, views, .. } = question;
    if !state.is_complete() {
        return None;
    }
    let grounds: Option<Vec<Ground>> = views.iter().map(|view| ground(state, *view)).collect();
    let settled = need.entries();
    Some(Footing {
        epoch: state.epoch(),
        offset: state.offset(),
        offset_read: state.offset_read(),
        grounds: grounds?,
        settled: settled
            .filter(|entry| state.everywhere_visible(entry.lane, entry.seq))
            .collect(),
        held: views
            .iter()
            .filter_map(|view| state.view(view.name())?.active_build())
            .any(|build| is_held(build, question)),
    })
}

fn ground(state: &WatermarkState, view: View) -> Option<Ground> {
    let known = state.view(view.name())?;
    let build = known.active_build()?;
    let announced = build.announced.as_ref()?;
    Some(Ground {
        view,
        build: known.active?,
        version: announced.version,
        index: announced.index.clone(),
        visible: build.visible.clone(),
        floors_met: build.visible.covers(&known.floors),
    })
}

/// True when an entry of the read is at or above an event that is held back: of this subject, or
/// in a search of any.
fn is_held(build: &BuildState, question: Question<'_>) -> bool {
    let entries = question.need.entries();
    let mut entries = entries.filter(|entry| question.counts(entry.lane));
    entries.any(|entry| {
        let held = build.lanes.get(&entry.lane).map(|said| &said.held);
        let mut held = held.into_iter().flatten();
        held.any(|held| question.concerns(held.subject) && held.seq <= entry.seq)
    })
}

fn measure(state: &WatermarkState, question: Question<'_>) -> Gap {
    let mut gap = Gap {
        offset_behind: state.offset_read() < question.need.offset(),
        ..Gap::default()
    };
    for view in question.views {
        let Some(known) = state.view(view.name()) else {
            continue;
        };
        for lane in Lane::all().filter(|lane| question.counts(*lane)) {
            measure_lane(&mut gap, question, *view, known, lane);
        }
    }
    if gap.offset_behind && gap.lanes.is_empty() {
        gap.stalled = !is_anybody_heard(state, question.now);
    }
    gap
}

fn measure_lane(gap: &mut Gap, question: Question<'_>, view: View, known: &ViewState, lane: Lane) {
    let entry = question.need.entry(lane);
    let wanted = entry.max(known.floors.get(lane));
    let build = known.active_build();
    let visible = build.map_or(0, |build| build.visible.get(lane));
    if visible >= wanted {
        return;
    }
    gap.lanes.push(LaneGap {
        view: view.name(),
        lane,
        wanted,
        visible,
    });
    let said = build.and_then(|build| build.lanes.get(&lane));
    gap.stalled |= !said.is_some_and(|said| said.is_heard(question.now));
    let is_known = said.is_some_and(|said| said.head >= Some(entry));
    let position = Position { lane, seq: entry };
    if !is_known && entry > 0 && !gap.doubtful.contains(&position) {
        gap.doubtful.push(position);
    }
}

fn is_anybody_heard(state: &WatermarkState, now: Duration) -> bool {
    let mut lanes = state
        .views()
        .filter_map(|(_, view)| view.active_build())
        .flat_map(|build| build.lanes.values());
    lanes.any(|said: &LaneState| said.is_heard(now))
}

#[cfg(test)]
mod tests;
