//! The ladder's judgement, a pure function: is a read covered by the state of the watermark topic,
//! and if not, what is missing?
//!
//! One judgement takes one snapshot: build, index, watermarks and `G` belong together, so a switch
//! between judging and reading does not affect the request.

use std::time::Duration;

use chassis::watermark_tail::{Goal, Level};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneSeqs, Position, Seq};
use schemas::view::View;
use schemas::watermark::{BuildState, LaneState, ViewState, WatermarkState};
use serde::Serialize;
use uuid::Uuid;

use super::need::Need;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub need: &'a Need,
    /// All views that the endpoint reads.
    pub views: &'a [View],
    /// The subject of the document that is read: only its lane counts. None for a search, where all
    /// lanes count.
    pub subject: Option<Uuid>,
    /// On the clock by which this process received the records. Clocks of other machines do not
    /// count.
    pub now: Duration,
}

/// The part of the state that a read uses: the active builds and how far each is visible.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub epoch: Epoch,
    /// `G` as issued.
    pub offset: u64,
    /// What the `G` of a tidemark is compared with.
    pub offset_read: u64,
    pub builds: Vec<ActiveBuild>,
    /// Entries of the tidemark that every view shows: the tidemark no longer needs them.
    pub settled: Vec<Position>,
    /// The read needs events that are held back for an operator.
    pub held: bool,
}

/// The active build of one view.
#[derive(Debug, Clone)]
pub struct ActiveBuild {
    pub view: View,
    pub build: u32,
    /// Its projection version.
    pub version: u32,
    pub index: String,
    pub visible: LaneSeqs,
    /// True if the watermarks have reached the floors on every lane.
    pub floors_met: bool,
}

/// What is missing for a read to be covered.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    pub lanes: Vec<LaneGap>,
    /// This replica has not read the topic as far as the replica that answered the client last.
    pub offset_behind: bool,
    /// A view has no active build.
    pub without_build: bool,
    /// What is missing has an owner that has not published for a while: waiting is unlikely to help.
    pub stalled: bool,
    /// Entries beyond every head that a projector has seen: only the primary can tell whether these
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
    Covered(Snapshot),
    Behind {
        /// None where a view has no active build.
        snapshot: Option<Snapshot>,
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

impl Snapshot {
    /// The active build of a view of the reading.
    pub fn active_build(&self, view: View) -> &ActiveBuild {
        let mut builds = self.builds.iter();
        builds
            .find(|build| build.view == view)
            .expect("a reading names every view that its handler reads")
    }
}

impl Gap {
    /// A view has no active build.
    pub fn without_build() -> Self {
        Self {
            without_build: true,
            ..Self::default()
        }
    }

    /// True if a document with this seq proves that everything needed of its lane is in it. An entry
    /// of another subject in the lane cannot be proven by it.
    pub fn is_proven_by(&self, seq: Seq) -> bool {
        let enough = |lane: &LaneGap| seq >= lane.wanted;
        !self.offset_behind && !self.without_build && self.lanes.iter().all(enough)
    }

    /// What to wait for before judging again. Everything that is missing has to come, so waiting for
    /// one part of it is enough.
    pub fn goal(&self, need: &Need) -> Goal {
        if self.without_build {
            return BUILD_CHANGE;
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
        lane.unwrap_or(BUILD_CHANGE)
    }
}

/// Waits for any change of builds, or for the end of a topic that has a hole.
pub(super) const BUILD_CHANGE: Goal = Goal {
    level: Level::Builds,
    height: 0,
};

/// Judges a read by the current state of the watermark topic.
pub fn judge(state: &WatermarkState, question: Question<'_>) -> Verdict {
    let snapshot = snapshot(state, question);
    if !question.need.has_tidemark()
        && let Some(snapshot) = snapshot
    {
        return Verdict::Covered(snapshot);
    }
    let gap = find_gap(state, question);
    match snapshot {
        Some(snapshot) if !gap.offset_behind && gap.lanes.is_empty() => Verdict::Covered(snapshot),
        snapshot => Verdict::Behind {
            gap: Gap {
                without_build: snapshot.is_none(),
                // A topic that is still being read moves on; a view without an active build may not.
                stalled: gap.stalled || (snapshot.is_none() && state.is_complete()),
                ..gap
            },
            snapshot,
        },
    }
}

fn snapshot(state: &WatermarkState, question: Question<'_>) -> Option<Snapshot> {
    let Question { need, views, .. } = question;
    if !state.is_complete() {
        return None;
    }
    let builds: Option<Vec<ActiveBuild>> = views
        .iter()
        .map(|view| active_build(state, *view))
        .collect();
    let settled = need.entries();
    Some(Snapshot {
        epoch: state.epoch(),
        offset: state.offset(),
        offset_read: state.offset_read(),
        builds: builds?,
        settled: settled
            .filter(|entry| state.everywhere_visible(entry.lane, entry.seq))
            .collect(),
        held: views
            .iter()
            .filter_map(|view| state.view(view.name())?.active_build())
            .any(|build| is_held(build, question)),
    })
}

fn active_build(state: &WatermarkState, view: View) -> Option<ActiveBuild> {
    let known = state.view(view.name())?;
    let build = known.active_build()?;
    let announced = build.announced.as_ref()?;
    Some(ActiveBuild {
        view,
        build: known.active?,
        version: announced.version,
        index: announced.index.clone(),
        visible: build.visible.clone(),
        floors_met: build.visible.covers(&known.floors),
    })
}

/// True if an entry of the tidemark is at or above an event that is held back: of the document's
/// subject, or in a search of any subject.
fn is_held(build: &BuildState, question: Question<'_>) -> bool {
    let entries = question.need.entries();
    let mut entries = entries.filter(|entry| question.counts(entry.lane));
    entries.any(|entry| {
        let held = build.lanes.get(&entry.lane).map(|said| &said.held);
        let mut held = held.into_iter().flatten();
        held.any(|held| question.concerns(held.subject) && held.seq <= entry.seq)
    })
}

fn find_gap(state: &WatermarkState, question: Question<'_>) -> Gap {
    let mut gap = Gap {
        offset_behind: state.offset_read() < question.need.offset(),
        ..Gap::default()
    };
    for view in question.views {
        let Some(known) = state.view(view.name()) else {
            continue;
        };
        for lane in Lane::all().filter(|lane| question.counts(*lane)) {
            find_lane_gap(&mut gap, question, *view, known, lane);
        }
    }
    if gap.offset_behind && gap.lanes.is_empty() {
        gap.stalled = !is_any_lane_heard(state, question.now);
    }
    gap
}

fn find_lane_gap(gap: &mut Gap, question: Question<'_>, view: View, known: &ViewState, lane: Lane) {
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

fn is_any_lane_heard(state: &WatermarkState, now: Duration) -> bool {
    let mut lanes = state
        .views()
        .filter_map(|(_, view)| view.active_build())
        .flat_map(|build| build.lanes.values());
    lanes.any(|said: &LaneState| said.is_heard(now))
}

#[cfg(test)]
mod tests;
