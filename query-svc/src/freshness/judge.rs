//! The ladder's judgement, pure: is this read covered by what the watermark topic says, and if
//! not, what is missing?
//!
//! One judgement reads one state: build, index, watermarks and `G` belong together, so a switch
//! between deciding and reading changes nothing for the request.

use chrono::{DateTime, Utc};
use schemas::lane::{Lane, LaneSeqs, Position, Seq};
use schemas::view::View;
use schemas::watermark::{BuildState, FRESH, LaneState, ViewState, WatermarkState};
use serde::Serialize;
use uuid::Uuid;

use super::need::Need;

/// Which lanes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One document: the lane of its subject.
    ById(Uuid),
    /// Whatever matches: all lanes.
    Search,
}

/// What there is to judge.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub need: &'a Need,
    /// All that the endpoint reads.
    pub views: &'a [View],
    pub target: Target,
    pub now: DateTime<Utc>,
}

/// Where a request stands: the builds that it reads and how far each was visible.
#[derive(Debug, Clone)]
pub struct Footing {
    pub offset: u64,
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
    pub index: String,
    pub visible: LaneSeqs,
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

impl Target {
    fn counts(self, lane: Lane) -> bool {
        match self {
            Self::ById(subject) => lane == Lane::of(subject),
            Self::Search => true,
        }
    }

    fn concerns(self, subject: Uuid) -> bool {
        match self {
            Self::ById(asked) => subject == asked,
            Self::Search => true,
        }
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
    /// True when a document of this version, read as last written, shows all that was asked of
    /// its lane. An entry that concerns another subject of the lane cannot be proven so.
    pub fn is_proven_by(&self, version: Seq) -> bool {
        let enough = |lane: &LaneGap| version >= lane.wanted;
        !self.offset_behind && !self.without_build && self.lanes.iter().all(enough)
    }
}

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
        offset: state.offset(),
        grounds: grounds?,
        settled: settled
            .filter(|entry| state.everywhere_visible(entry.lane, entry.seq))
            .collect(),
        held: views
            .iter()
            .filter_map(|view| state.view(view.name())?.active_build())
            .any(|build| is_held(build, need, question.target)),
    })
}

fn ground(state: &WatermarkState, view: View) -> Option<Ground> {
    let known = state.view(view.name())?;
    let build = known.active_build()?;
    Some(Ground {
        view,
        build: known.active?,
        index: build.announced.as_ref()?.index.clone(),
        visible: build.visible.clone(),
    })
}

/// True when an entry of the read is at or above an event that is held back: of this subject, or
/// in a search of any.
fn is_held(build: &BuildState, need: &Need, target: Target) -> bool {
    let mut entries = need.entries().filter(|entry| target.counts(entry.lane));
    entries.any(|entry| {
        let held = build.lanes.get(&entry.lane).map(|said| &said.held);
        let mut held = held.into_iter().flatten();
        held.any(|held| target.concerns(held.subject) && held.seq <= entry.seq)
    })
}

fn measure(state: &WatermarkState, question: Question<'_>) -> Gap {
    let mut gap = Gap {
        offset_behind: state.offset() < question.need.offset(),
        ..Gap::default()
    };
    for view in question.views {
        let Some(known) = state.view(view.name()) else {
            continue;
        };
        for lane in Lane::all().filter(|lane| question.target.counts(*lane)) {
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
    gap.stalled |= !said.is_some_and(|said| is_fresh(said, question.now));
    let is_known = said.is_some_and(|said| said.head >= entry);
    let position = Position { lane, seq: entry };
    if !is_known && entry > 0 && !gap.doubtful.contains(&position) {
        gap.doubtful.push(position);
    }
}

fn is_fresh(said: &LaneState, now: DateTime<Utc>) -> bool {
    now - said.at <= FRESH
}

fn is_anybody_heard(state: &WatermarkState, now: DateTime<Utc>) -> bool {
    let mut lanes = state
        .views()
        .filter_map(|(_, view)| view.active_build())
        .flat_map(|build| build.lanes.values());
    lanes.any(|said| is_fresh(said, now))
}

#[cfg(test)]
mod tests;
