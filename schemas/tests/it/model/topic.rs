//! The watermark topic of the model: what is said there, and what a replica makes of it.
//!
//! Records are folded by the code that the services use.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneSeqs, Seq};
use schemas::watermark::{Announced, LaneMark, Record, Switch, Watermark, WatermarkState};
use uuid::Uuid;

pub const EPOCH: Epoch = Epoch(1);
pub const VIEWS: [&str; 2] = ["products", "categories"];
/// View and number of each build.
pub const BUILDS: [(usize, u32); 3] = [(0, 1), (0, 2), (1, 1)];

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// The only lane in which something happens.
pub fn lane() -> Lane {
    Lane::try_from(0_u8).unwrap()
}

/// Something said in the topic. Builds and views are named by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Said {
    Announced(usize),
    Visible {
        build: usize,
        seq: Seq,
        head: Seq,
    },
    Switch {
        view: usize,
        from: Option<u32>,
        to: u32,
        floor: Seq,
    },
}

impl Said {
    fn record(self, offset: usize) -> Record {
        match self {
            Self::Announced(build) => {
                let (view, build) = BUILDS[build];
                Record::Announced {
                    view: VIEWS[view].into(),
                    build,
                    announced: announced(),
                }
            }
            Self::Visible { build, seq, head } => {
                let (view, build) = BUILDS[build];
                Record::Watermark {
                    view: VIEWS[view].into(),
                    build,
                    partition: 0,
                    watermark: watermark(seq, head),
                }
            }
            Self::Switch {
                view,
                from,
                to,
                floor,
            } => Record::Switch {
                view: VIEWS[view].into(),
                id: Uuid::from_u128(offset as u128),
                switch: switch(from, to, floor),
            },
        }
    }

    pub fn shows(self, build: usize, seq: Seq) -> bool {
        matches!(self, Self::Visible { build: own, seq: at, .. } if (own, at) == (build, seq))
    }

    /// True when compaction may take this record away under a later one.
    fn is_superseded(self, later: &[Self]) -> bool {
        let Self::Visible { build: own, .. } = self else {
            return false;
        };
        let mut later = later.iter();
        later.any(|said| matches!(said, Self::Visible { build, .. } if *build == own))
    }
}

/// What a replica knows that has read these records: some at its start, as compaction had left
/// them, the others one by one.
pub fn known(topic: &[Said], at_start: usize) -> WatermarkState {
    let mut state = WatermarkState::new(EPOCH);
    for (offset, said) in topic.iter().enumerate() {
        let later = topic.get(offset + 1..at_start).unwrap_or_default();
        if offset == at_start {
            state.reach_end();
        }
        if !said.is_superseded(later) {
            state.apply(offset as u64, said.record(offset), Duration::ZERO);
        }
    }
    if at_start == topic.len() {
        state.reach_end();
    }
    state
}

fn announced() -> Announced {
    Announced {
        epoch: EPOCH,
        index: String::new(),
        index_uuid: String::new(),
        version: 1,
        at: NOW,
        wish: None,
    }
}

fn watermark(seq: Seq, head: Seq) -> Watermark {
    let lane = lane();
    Watermark {
        version: 1,
        epoch: EPOCH,
        lanes: vec![LaneMark {
            lane,
            seq,
            head: Some(head),
        }],
        at: NOW,
        heads_at: Some(NOW),
        covered_recorded_at: None,
        held: BTreeMap::new(),
        changed: None,
    }
}

fn switch(from: Option<u32>, to: u32, floor: Seq) -> Switch {
    Switch {
        epoch: EPOCH,
        from,
        to,
        floors: LaneSeqs::from_iter([(lane(), floor)]),
        at: NOW,
        wish: None,
    }
}
