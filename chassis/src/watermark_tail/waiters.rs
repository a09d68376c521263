//! Readers that wait for the topic: each is woken when what it waits for is reached, by nothing
//! else of the topic's traffic.
//!
//! A heartbeat moves no lane, so it wakes no reader of one, however many wait. A wait that ends
//! early leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::lane::Lane;
use schemas::view::View;
use tokio::sync::oneshot;

/// What rises while the topic is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The watermark of the active build.
    Visible(View, Lane),
    /// How far the topic was read without a hole.
    OffsetRead,
    /// Builds, and whether the state is complete. Has no height: every change wakes.
    Builds,
}

/// A level with the height that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    pub level: Level,
    pub height: u64,
}

#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    /// By height and id.
    levels: BTreeMap<Level, BTreeMap<(u64, u64), oneshot::Sender<()>>>,
}

/// A place among those who wait for a goal. Dropping it gives the place up.
#[derive(Debug)]
pub struct Wake {
    waiters: Arc<Waiters>,
    goal: Goal,
    id: u64,
    woken: oneshot::Receiver<()>,
}

impl Waiters {
    pub(super) fn wait_for(self: &Arc<Self>, goal: Goal) -> Wake {
        let (sender, woken) = oneshot::channel();
        let mut waiting = self.lock();
        let id = waiting.next_id;
        waiting.next_id += 1;
        let level = waiting.levels.entry(goal.level).or_default();
        level.insert((goal.height, id), sender);
        Wake {
            waiters: Arc::clone(self),
            goal,
            id,
            woken,
        }
    }

    /// Wakes those whose goal is reached; `height` is asked only of levels that are waited for.
    pub(super) fn release(&self, height: impl Fn(Level) -> Option<u64>) {
        let mut waiting = self.lock();
        let mut reached = Vec::new();
        for (level, waiters) in &mut waiting.levels {
            let Some(height) = height(*level) else {
                continue;
            };
            let beyond = match height.checked_add(1) {
                Some(beyond) => waiters.split_off(&(beyond, 0)),
                None => BTreeMap::new(),
            };
            reached.extend(std::mem::replace(waiters, beyond).into_values());
        }
        waiting.levels.retain(|_, waiters| !waiters.is_empty());
        drop(waiting);
        for waiter in reached {
            // One that has just given up is fine.
            let _ = waiter.send(());
        }
    }

    /// Wakes everybody: where readers stand has changed.
    pub(super) fn release_all(&self) {
        self.release(|_| Some(u64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake {
    /// Returns when the goal is reached, or where readers stand has changed.
    pub async fn woken(&mut self) {
        // The sender goes only by being used, or with `self`.
        let _ = (&mut self.woken).await;
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        if let Some(waiters) = waiting.levels.get_mut(&self.goal.level) {
            waiters.remove(&(self.goal.height, self.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn lane(number: u8) -> Level {
        Level::Visible(View::Products, Lane::try_from(number).unwrap())
    }

    fn goal(level: Level, height: u64) -> Goal {
        Goal { level, height }
    }

    fn is_woken(wake: &mut Wake) -> bool {
        wake.woken().now_or_never().is_some()
    }

    #[test]
    fn only_those_whose_goal_is_reached_are_woken() {
        let waiters = Arc::new(Waiters::default());
        let mut reached = waiters.wait_for(goal(lane(3), 7));
        let mut higher = waiters.wait_for(goal(lane(3), 8));
        let mut elsewhere = waiters.wait_for(goal(lane(4), 1));
        waiters.release(|level| (level == lane(3)).then_some(7));
        assert!(is_woken(&mut reached));
        assert!(!is_woken(&mut higher) && !is_woken(&mut elsewhere));
    }

    #[test]
    fn a_change_of_builds_wakes_everybody() {
        let waiters = Arc::new(Waiters::default());
        let goals = [lane(3), Level::OffsetRead, Level::Builds].map(|level| goal(level, u64::MAX));
        let mut all = goals.map(|goal| waiters.wait_for(goal));
        waiters.release_all();
        assert!(all.iter_mut().all(is_woken));
        assert!(waiters.lock().levels.is_empty());
    }

    #[test]
    fn a_reader_that_gives_up_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        let stays = waiters.wait_for(goal(lane(3), 7));
        drop(waiters.wait_for(goal(lane(3), 7)));
        assert_eq!(waiters.lock().levels[&lane(3)].len(), 1);
        drop(stays);
        waiters.release(|_| None);
        assert!(waiters.lock().levels.is_empty());
    }
}
