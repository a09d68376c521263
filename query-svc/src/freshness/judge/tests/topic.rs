//! A watermark topic for judgements, record by record.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::lane::{Lane, LaneSeqs, Seq};
use schemas::view::View;
use schemas::watermark::{Announced, LaneMark, Record, Retired, Switch, Watermark, WatermarkState};
use uuid::Uuid;

use super::EPOCH;
use crate::freshness::judge::{Question, Verdict, judge};
use crate::freshness::need::Need;

/// When this process reads every record, by its own time.
pub(super) const RECEIVED: Duration = Duration::from_secs(100);

pub(super) fn at(millisecond: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + millisecond).unwrap()
}

pub(super) fn lane(number: u8) -> Lane {
    Lane::try_from(number).unwrap()
}

/// A topic, record by record.
pub(super) struct Topic {
    pub(super) state: WatermarkState,
    pub(super) next: u64,
}

impl Topic {
    pub(super) fn new() -> Self {
        let mut state = WatermarkState::new(EPOCH);
        state.reach_end();
        Self { state, next: 0 }
    }

    /// Build 1 of the view is active, and every lane was seen at seq 0 just now.
    pub(super) fn serving(view: View) -> Self {
        Self::new()
            .announce(view, 1)
            .switch(view, None, 1)
            .quiet(view, 1)
    }

    fn put(mut self, record: Record) -> Self {
        self.state.apply(self.next, record, RECEIVED);
        self.next += 1;
        self
    }

    pub(super) fn announce(self, view: View, build: u32) -> Self {
        let announced = Announced {
            epoch: EPOCH,
            index: format!("{}-b{build}", view.name()),
            index_uuid: format!("uuid-{build}"),
            version: 1,
            at: at(0),
            wish: None,
        };
        let view = view.name().to_owned();
        self.put(Record::Announced {
            view,
            build,
            announced,
        })
    }

    pub(super) fn switch(self, view: View, from: Option<u32>, to: u32) -> Self {
        let switch = Switch {
            epoch: EPOCH,
            from,
            to,
            floors: LaneSeqs::default(),
            at: at(0),
            wish: None,
        };
        let id = Uuid::from_u128(self.next.into());
        let view = view.name().to_owned();
        self.put(Record::Switch { view, id, switch })
    }

    pub(super) fn retire(self, view: View, build: u32) -> Self {
        let retired = Retired {
            epoch: EPOCH,
            at: at(0),
            lost: false,
        };
        let view = view.name().to_owned();
        self.put(Record::Retired {
            view,
            build,
            retired,
        })
    }

    pub(super) fn quiet(self, view: View, build: u32) -> Self {
        let lanes = Lane::all().map(|lane| LaneMark {
            lane,
            seq: 0,
            head: Some(0),
        });
        self.watermark(view, build, watermark(lanes.collect()))
    }

    /// The lane is visible up to seq, and its head was there.
    pub(super) fn visible(self, view: View, build: u32, number: u8, seq: Seq) -> Self {
        let mark = LaneMark {
            lane: lane(number),
            seq,
            head: Some(seq),
        };
        self.watermark(view, build, watermark(vec![mark]))
    }

    pub(super) fn watermark(self, view: View, build: u32, watermark: Watermark) -> Self {
        let (view, partition) = (view.name().to_owned(), 0);
        self.put(Record::Watermark {
            view,
            build,
            partition,
            watermark,
        })
    }

    pub(super) fn judge(&self, need: &Need, views: &[View], subject: Option<Uuid>) -> Verdict {
        self.judge_at(need, views, subject, RECEIVED + Duration::from_secs(1))
    }

    pub(super) fn judge_at(
        &self,
        need: &Need,
        views: &[View],
        subject: Option<Uuid>,
        now: Duration,
    ) -> Verdict {
        let question = Question {
            need,
            views,
            subject,
            now,
        };
        judge(&self.state, question)
    }
}

pub(super) fn watermark(lanes: Vec<LaneMark>) -> Watermark {
    Watermark {
        version: 1,
        epoch: EPOCH,
        lanes,
        at: at(0),
        heads_at: Some(at(0)),
        covered_recorded_at: None,
        held: BTreeMap::new(),
        changed: None,
    }
}
