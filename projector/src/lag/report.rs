//! The lag of every lane of every build, in events and seconds: idle, behind, stalled or dead.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::clock;
use chassis::watermark_tail::WatermarkTail;
use chrono::{DateTime, TimeDelta, Utc};
use schemas::lane::{Lane, LaneSeqs, Seq};
use schemas::operations::{BuildLag, LagReport, LaneHealth, LaneLag, ViewLag};
use schemas::view::View;
use schemas::watermark::BuildState;

use crate::board::{Board, Heads, OfBuild, OfLane, OfView, Phase};
use crate::build_id::BuildId;
use crate::config::{HEADS_KNOWN_FOR, STALLED_AFTER};

/// The lag of all builds that are fed.
pub fn lag_report(board: &Board, tail: &WatermarkTail) -> LagReport {
    let heads = board.heads();
    let own = board.builds();
    let (now, heard_by) = (clock::now(), tail.now());
    let views = tail.read(|state| {
        let views = state.views().map(|(name, of_view)| {
            let fed = of_view.builds.iter().filter(|(_, build)| build.is_fed());
            let builds = fed.map(|(number, build)| {
                let id = View::from_name(name).map(|view| BuildId {
                    view,
                    number: *number,
                });
                let own = id.and_then(|id| own.get(&id));
                let waiting = heads.waiting_since.get(&(name.to_owned(), *number));
                let question = Question {
                    build,
                    is_active: of_view.active == Some(*number),
                    heads: &heads,
                    waiting,
                    now,
                    heard_by,
                };
                build_lag(*number, &question, own)
            });
            ViewLag {
                view: name.to_owned(),
                active: of_view.active,
                builds: builds.collect(),
            }
        });
        views.collect()
    });
    LagReport {
        at: now,
        heads_at: heads.at,
        views,
    }
}

/// For each build that is fed, the first event of each lane that it does not show.
pub(super) fn first_hidden(
    tail: &WatermarkTail,
    heads: &LaneSeqs,
) -> BTreeMap<OfView, Vec<(Lane, Seq)>> {
    tail.read(|state| {
        let fed = state.views().flat_map(|(name, view)| {
            let fed = view.builds.iter().filter(|(_, build)| build.is_fed());
            fed.map(move |(number, build)| ((name.to_owned(), *number), build))
        });
        let hidden = |build: &BuildState| {
            let shown = |lane| (lane, build.visible.get(lane));
            let behind = Lane::all()
                .map(shown)
                .filter(|(lane, seq)| *seq < heads.get(*lane));
            behind.map(|(lane, seq)| (lane, seq + 1)).collect()
        };
        fed.map(|(id, build)| (id, hidden(build))).collect()
    })
}

/// What every process knows of a build.
struct Question<'a> {
    build: &'a BuildState,
    is_active: bool,
    heads: &'a Heads,
    waiting: Option<&'a BTreeMap<Lane, DateTime<Utc>>>,
    now: DateTime<Utc>,
    /// The same by the time by which the topic was read.
    heard_by: Duration,
}

fn build_lag(number: u32, question: &Question<'_>, own: Option<&OfBuild>) -> BuildLag {
    let own_lane = |lane: &Lane| Some((own?, own?.lanes.get(lane)?));
    let lanes = Lane::all().map(|lane| lane_lag(lane, question, own_lane(&lane)));
    BuildLag::of_lanes(number, lanes.collect())
}

fn lane_lag(lane: Lane, question: &Question<'_>, own: Option<(&OfBuild, &OfLane)>) -> LaneLag {
    let said = question.build.lanes.get(&lane);
    let visible = question.build.visible.get(lane);
    let head = question
        .heads
        .seqs
        .get(lane)
        .max(said.and_then(|said| said.head).unwrap_or(0))
        .max(visible);
    let behind_events = head - visible;
    let since = question.waiting.and_then(|waiting| waiting.get(&lane));
    let waiting = since
        .filter(|_| behind_events > 0)
        .map_or(TimeDelta::zero(), |since| question.now - *since);
    let stands_still = own.is_some_and(|(of_build, of_lane)| {
        question.now - question.moved_at(of_build, of_lane) > STALLED_AFTER
    });
    let own = own.map(|(_, of_lane)| of_lane);
    let stopped = own.and_then(|own| own.stopped.as_ref());
    let is_said = said.is_some_and(|said| said.is_heard(question.heard_by));
    let state = if !is_said {
        LaneHealth::Dead
    } else if behind_events == 0 && question.are_heads_known() {
        LaneHealth::Idle
    } else if behind_events == 0 {
        LaneHealth::Unknown
    } else if stopped.is_some() || (waiting > STALLED_AFTER && stands_still) {
        LaneHealth::Stalled
    } else {
        LaneHealth::Behind
    };
    LaneLag {
        lane,
        head,
        published: own.and_then(|own| own.published),
        applied: own.map(|own| own.applied),
        visible,
        behind_events,
        behind_seconds: seconds(waiting),
        state,
        stopped: stopped.map(|stopped| stopped.reason().to_owned()),
    }
}

impl Question<'_> {
    /// While PostgreSQL is down, nobody knows whether everything is visible.
    fn are_heads_known(&self) -> bool {
        self.heads
            .at
            .is_some_and(|at| self.now - at <= HEADS_KNOWN_FOR)
    }

    /// When a lane of ours moved last: by what readers see of it. What is not read from yet is
    /// refreshed seldom, and lanes that are filled take turns: there, any step of the build counts.
    fn moved_at(&self, of_build: &OfBuild, of_lane: &OfLane) -> DateTime<Utc> {
        let is_refreshed = matches!(of_lane.phase, Phase::Following | Phase::CatchingUp);
        if self.is_active && is_refreshed {
            of_lane.shown_at
        } else {
            let own = of_lane.shown_at.max(of_lane.applied_at);
            own.max(of_build.filled_at)
        }
    }
}

fn seconds(time: TimeDelta) -> f64 {
    time.as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests;
