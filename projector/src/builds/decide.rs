//! What to do next about the builds of one view: a pure function of what the topic says.
//!
//! One step at a time: the next one is decided on a state in which this one shows.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::lane::{Lane, LaneSeqs};
use schemas::view::View;
use schemas::watermark::{BuildState, Switch, ViewState, WatermarkState, WishKind};
use uuid::Uuid;

use crate::config::FORSAKEN_AFTER;

/// A step to be taken by the owner of lane 0.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the index, then announce it under this number.
    Announce {
        build: u32,
        wish: Option<Uuid>,
    },
    Switch(Switch),
    Retire {
        build: u32,
        /// Its index is gone.
        lost: bool,
    },
    /// Delete watermark keys, checkpoints and index.
    Remove {
        build: u32,
    },
}

/// What is known beside the topic.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub view: View,
    /// The projection version that this binary makes builds of.
    pub version: u32,
    /// The time by which this process has read the topic. It alone tells how old a record is: the
    /// clocks of those who published may be wrong.
    pub now: Duration,
    /// The date that records of this step carry.
    pub at: DateTime<Utc>,
    /// A retired build is kept so long for the readers that are still in it.
    pub remove_after: Duration,
    /// Fed builds whose index is missing, or is another one than was announced.
    pub lost: &'a BTreeSet<u32>,
    /// Fed builds that are behind and have not moved for long, although all servers answer.
    pub stuck: &'a BTreeSet<u32>,
    /// Numbers under which there is an index of another version.
    pub burnt: &'a BTreeSet<u32>,
    /// Retired builds of which nothing is left.
    pub removed: &'a BTreeSet<u32>,
}

/// The next step for a view, if there is any.
pub fn next_step(state: &WatermarkState, facts: &Facts<'_>) -> Option<Step> {
    let empty = ViewState::default();
    let view = state.view(facts.view.name()).unwrap_or(&empty);
    retire_lost(view, facts)
        .or_else(|| lead(state, view, facts))
        .or_else(|| retire_passed(view, facts))
        .or_else(|| remove(view, facts))
}

/// What only the highest version that is alive does: answer wishes, and replace what is lost.
fn lead(state: &WatermarkState, view: &ViewState, facts: &Facts<'_>) -> Option<Step> {
    if is_outdone(view, facts) {
        return None;
    }
    announce(view, facts)
        .or_else(|| switch_to_candidate(state, view, facts))
        .or_else(|| switch_by_wish(state, view, facts))
}

fn retire_lost(view: &ViewState, facts: &Facts<'_>) -> Option<Step> {
    let lost = facts.lost.iter().copied();
    let mut fed = lost.filter(|build| view.builds.get(build).is_some_and(BuildState::is_fed));
    fed.next().map(|build| Step::Retire { build, lost: true })
}

/// A view needs a build of this projection version, and a replay needs a new one. One at a time.
fn announce(view: &ViewState, facts: &Facts<'_>) -> Option<Step> {
    let mut numbers = view.next_build()..;
    let build = numbers.find(|number| !facts.burnt.contains(number))?;
    if needs_build(view, facts) {
        return Some(Step::Announce { build, wish: None });
    }
    let mut open = view.open_wishes();
    let replay = open.find(|(_, wish)| wish.kind == WishKind::Replay);
    let (wish, _) = replay.filter(|_| candidates(view, facts).next().is_none())?;
    Some(Step::Announce {
        build,
        wish: Some(wish),
    })
}

/// True without a build of this projection version, and where readers wait for one that is stuck.
/// That one is fed further, and whichever is filled first takes over. There is one in reserve at
/// most: what stops both would stop any number.
fn needs_build(view: &ViewState, facts: &Facts<'_>) -> bool {
    let own = |build: &BuildState| build.is_fed() && version(build) == Some(facts.version);
    let mut own = view.builds.iter().filter(|(_, build)| own(build));
    match (own.next(), own.next()) {
        (None, _) => true,
        (Some((only, _)), None) => is_orphaned(view, facts) && facts.stuck.contains(only),
        (Some(_), Some(_)) => false,
    }
}

fn switch_to_candidate(
    state: &WatermarkState,
    view: &ViewState,
    facts: &Facts<'_>,
) -> Option<Step> {
    let mut ready = candidates(view, facts).filter(|(_, build)| may_take_over(view, build, facts));
    let (to, _) = ready.next()?;
    Some(switch(state, view, facts, to, None))
}

fn switch_by_wish(state: &WatermarkState, view: &ViewState, facts: &Facts<'_>) -> Option<Step> {
    view.open_wishes().find_map(|(id, wish)| {
        let WishKind::Activate { build: to } = wish.kind else {
            return None;
        };
        let build = view.builds.get(&to).filter(|build| build.is_fed())?;
        let ready = view.active != Some(to) && may_take_over(view, build, facts);
        ready.then(|| switch(state, view, facts, to, Some(id)))
    })
}

/// A build that was left is fed until the active one has passed all that it ever showed.
fn retire_passed(view: &ViewState, facts: &Facts<'_>) -> Option<Step> {
    let active = view.active_build().filter(|build| build.is_fed())?;
    let mut left = view.builds.iter().filter(|(number, build)| {
        let is_left = build.was_active || Some(**number) < view.active;
        let own = version(build) == Some(facts.version) || is_forsaken(build, facts.now);
        build.is_fed() && Some(**number) != view.active && is_left && own
    });
    left.find(|(_, build)| active.visible.covers(&build.visible))
        .map(|(number, _)| Step::Retire {
            build: *number,
            lost: false,
        })
}

fn remove(view: &ViewState, facts: &Facts<'_>) -> Option<Step> {
    let mut gone = view.builds.iter().filter(|(number, build)| {
        build.retired.is_some()
            && build.silence(facts.now) > facts.remove_after
            && Some(**number) != view.active
            && !facts.removed.contains(number)
    });
    gone.next()
        .map(|(number, _)| Step::Remove { build: *number })
}

/// Builds of this projection version that may become the active one, the newest first: those that
/// never were, and any while nobody feeds the active one.
fn candidates<'a>(
    view: &'a ViewState,
    facts: &Facts<'_>,
) -> impl Iterator<Item = (u32, &'a BuildState)> {
    let own = Some(facts.version);
    let is_orphaned = is_orphaned(view, facts);
    view.builds
        .iter()
        .rev()
        .filter(move |(number, build)| {
            let is_newer = !build.was_active && Some(**number) > view.active;
            let may = is_newer || (is_orphaned && Some(**number) != view.active);
            build.is_fed() && version(build) == own && may
        })
        .map(|(number, build)| (*number, build))
}

/// True while nobody feeds an active build.
fn is_orphaned(view: &ViewState, facts: &Facts<'_>) -> bool {
    let is_fed = |active: &BuildState| active.is_fed() && !is_forsaken(active, facts.now);
    !view.active_build().is_some_and(is_fed)
}

fn may_take_over(view: &ViewState, build: &BuildState, facts: &Facts<'_>) -> bool {
    let holds_no_more = view
        .active_build()
        .is_none_or(|active| build.holds_no_more_than(active));
    holds_no_more && build.is_caught_up(facts.now)
}

fn switch(
    state: &WatermarkState,
    view: &ViewState,
    facts: &Facts<'_>,
    to: u32,
    wish: Option<Uuid>,
) -> Step {
    let first = view.active.is_none();
    let mut floors = view.floors.clone();
    if first {
        floors.merge(&lowest_of_others(state, facts.view));
    }
    let epoch = state.epoch();
    Step::Switch(Switch {
        epoch,
        from: view.active,
        to,
        floors,
        at: facts.at,
        wish,
    })
}

/// Tokens were pruned of what all other views show, so a new view may not begin below it.
fn lowest_of_others(state: &WatermarkState, own: View) -> LaneSeqs {
    let others: Vec<_> = state
        .views()
        .filter(|(name, view)| *name != own.name() && view.active.is_some())
        .map(|(_, view)| &view.floors)
        .collect();
    let lowest = |lane: Lane| {
        others
            .iter()
            .map(|floors| floors.get(lane))
            .min()
            .unwrap_or(0)
    };
    Lane::all().map(|lane| (lane, lowest(lane))).collect()
}

fn version(build: &BuildState) -> Option<u32> {
    build.announced.as_ref().map(|announced| announced.version)
}

/// True while projectors of a higher version are alive: they feed a build of theirs.
fn is_outdone(view: &ViewState, facts: &Facts<'_>) -> bool {
    let mut fed = view.builds.values().filter(|build| build.is_fed());
    fed.any(|build| version(build) > Some(facts.version) && !is_forsaken(build, facts.now))
}

fn is_forsaken(build: &BuildState, now: Duration) -> bool {
    build.silence(now) > FORSAKEN_AFTER
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
