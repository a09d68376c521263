//! A build that is being fed, and how far each of our lanes is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::lane::{Lane, Seq};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::board::{Changed, OfLane, Phase};
use crate::builds::FedBuild;
use crate::cache::BuildId;
use crate::fill::Filled;
use crate::metrics;
use crate::project::Stopped;
use crate::sink::Target;

/// One build. Dropping it ends its loads and fills.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) target: Target,
    pub(super) index_uuid: String,
    pub(super) lanes: BTreeMap<Lane, LaneFeed>,
    /// Something may have been acknowledged that no refresh of ours has followed.
    pub(super) unrefreshed: bool,
    pub(super) refreshed_at: Option<Instant>,
    /// A refresh on the side is under way.
    pub(super) refreshing: bool,
    /// Its index is gone; whoever owns lane 0 announces another.
    pub(super) lost: bool,
    pub(super) tasks: JoinSet<()>,
}

/// Up to where lanes are acknowledged, and when that was recorded.
pub(super) type Applied = BTreeMap<Lane, (Seq, Option<DateTime<Utc>>)>;

/// A lane of a build.
#[derive(Debug)]
pub(super) enum LaneFeed {
    /// Its checkpoint is being read.
    Loading,
    /// It is filled on the side.
    Filling,
    Following(Progress),
}

/// How far a lane is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// All up to here is acknowledged.
    pub(super) applied: Seq,
    /// The event there.
    pub(super) event_id: Option<Uuid>,
    pub(super) recorded_at: Option<DateTime<Utc>>,
    /// Where the cycle under way will come to.
    pub(super) planned: Seq,
    pub(super) visible: Option<Seq>,
    pub(super) covered_recorded_at: Option<DateTime<Utc>>,
    pub(super) stopped: Option<Stopped>,
    /// The table has to be asked for what comes next.
    pub(super) wants: bool,
    /// Subjects changed since the last refresh.
    pub(super) changed: Changed,
}

impl Feed {
    pub(super) fn new(build: FedBuild) -> Self {
        let id = BuildId {
            view: build.view,
            number: build.number,
        };
        Self {
            target: Target {
                build: id,
                index: Arc::from(build.index),
            },
            index_uuid: build.index_uuid,
            lanes: BTreeMap::new(),
            unrefreshed: true,
            refreshed_at: None,
            refreshing: false,
            lost: false,
            tasks: JoinSet::new(),
        }
    }

    pub(super) fn id(&self) -> BuildId {
        self.target.build
    }

    /// True unless a refresh that has ended came after all writes. One under way shows nothing yet.
    pub(super) fn may_hide_writes(&self) -> bool {
        self.unrefreshed || self.refreshing
    }

    pub(super) fn is_filling(&self) -> bool {
        self.lanes
            .values()
            .any(|lane| matches!(lane, LaneFeed::Filling))
    }

    /// Lets go of the lanes that do not satisfy this.
    pub(super) fn retain(&mut self, keep: impl Fn(Lane, &LaneFeed) -> bool) {
        let id = self.id();
        self.lanes.retain(|lane, feed| {
            let kept = keep(*lane, feed);
            if let (false, LaneFeed::Following(progress)) = (kept, feed)
                && let Some(stopped) = &progress.stopped
            {
                metrics::lane_not_stopped(id, *lane, stopped);
            }
            kept
        });
    }

    /// Lanes that follow the live log, not those that stand still.
    pub(super) fn following(&mut self) -> impl Iterator<Item = (Lane, &mut Progress)> {
        self.lanes.iter_mut().filter_map(|(lane, feed)| match feed {
            LaneFeed::Following(progress) if progress.stopped.is_none() => Some((*lane, progress)),
            _ => None,
        })
    }

    /// The lane, where it follows the live log.
    pub(super) fn follows(&mut self, lane: Lane) -> Option<&mut Progress> {
        self.progress(lane)
            .filter(|progress| progress.stopped.is_none())
    }

    pub(super) fn progress(&mut self, lane: Lane) -> Option<&mut Progress> {
        match self.lanes.get_mut(&lane) {
            Some(LaneFeed::Following(progress)) => Some(progress),
            _ => None,
        }
    }

    pub(super) fn applied(&self) -> Applied {
        let lanes = self.lanes.iter().filter_map(|(lane, feed)| match feed {
            LaneFeed::Following(progress) => {
                Some((*lane, (progress.applied, progress.recorded_at)))
            }
            LaneFeed::Loading | LaneFeed::Filling => None,
        });
        lanes.collect()
    }

    /// Everything acknowledged is visible.
    pub(super) fn shows_all(&mut self) {
        for lane in self.lanes.values_mut() {
            if let LaneFeed::Following(progress) = lane {
                progress.visible = Some(progress.applied);
                progress.covered_recorded_at = progress.recorded_at;
            }
        }
    }

    /// How the lanes stand, for the board.
    pub(super) fn standing(&mut self) -> BTreeMap<Lane, OfLane> {
        let lanes = self.lanes.iter_mut().map(|(lane, feed)| {
            let of_lane = match feed {
                LaneFeed::Loading => OfLane::default(),
                LaneFeed::Filling => OfLane {
                    phase: Phase::Filling,
                    ..OfLane::default()
                },
                LaneFeed::Following(progress) => progress.standing(),
            };
            (*lane, of_lane)
        });
        lanes.collect()
    }
}

impl Progress {
    /// From a checkpoint on; what is visible only a refresh will say.
    pub(super) fn from_checkpoint(seq: Seq, event_id: Uuid) -> Self {
        Self {
            applied: seq,
            event_id: Some(event_id),
            planned: seq,
            wants: true,
            ..Self::default()
        }
    }

    /// From where a fill has come to.
    pub(super) fn from_fill(filled: Filled) -> Self {
        Self {
            applied: filled.applied,
            event_id: filled.event_id,
            recorded_at: filled.recorded_at,
            planned: filled.applied,
            visible: filled.refreshed.then_some(filled.applied),
            covered_recorded_at: filled.refreshed.then_some(filled.recorded_at).flatten(),
            wants: filled.stopped.is_none(),
            stopped: filled.stopped,
            changed: Changed::All,
        }
    }

    fn standing(&mut self) -> OfLane {
        let shown = self.visible == Some(self.applied);
        let changed = if shown {
            std::mem::replace(&mut self.changed, Changed::nothing())
        } else {
            Changed::nothing()
        };
        OfLane {
            phase: if self.wants {
                Phase::CatchingUp
            } else {
                Phase::Following
            },
            applied: self.applied,
            event_id: self.event_id,
            visible: self.visible,
            covered_recorded_at: self.covered_recorded_at,
            stopped: self.stopped.clone(),
            published: None,
            changed,
        }
    }
}
