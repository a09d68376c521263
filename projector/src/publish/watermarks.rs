//! Publishes watermark records: at once when something became visible, and every second as a
//! heartbeat.
//!
//! A record holds what this process's own refreshes have shown, never less than what was read under
//! its key, and the lane heads last read from PostgreSQL with their time. Heartbeats continue
//! whatever else is down, so that an idle lane is not taken for a stalled one.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::telemetry::Chain;
use chassis::watermark_tail::WatermarkTail;
use chrono::{DateTime, Utc};
use schemas::lane::{Lane, Seq};
use schemas::topic::Names;
use schemas::watermark::{Key, LaneMark, Watermark};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::due::{Due, Mark, due};
use super::{Publication, WatermarkPublisher};
use crate::board::{Board, Changed, Heads, Shown};
use crate::build_id::BuildId;
use crate::config::WATERMARK_INTERVAL;
use crate::consume::Ownership;
use crate::version::version;
use crate::{crash, metrics};

/// A key of the topic that this process writes.
type Slot = (BuildId, i32);

/// Publishes watermarks for the lanes that this process owns.
#[derive(Debug)]
pub struct WatermarkLoop {
    pub board: Board,
    pub tail: WatermarkTail,
    pub ownership: Ownership,
    pub publisher: WatermarkPublisher,
    pub names: Names,
    last: BTreeMap<Slot, Last>,
}

/// What was published last under a key.
#[derive(Debug)]
struct Last {
    at: Instant,
    offset: u64,
    /// The assignment under which it was published.
    number: Option<u64>,
    seqs: BTreeMap<Lane, Seq>,
}

/// What the topic says of a lane.
#[derive(Debug, Clone, Copy, Default)]
struct Read {
    seq: Seq,
    visible: Seq,
    covered_recorded_at: Option<DateTime<Utc>>,
}

/// A record to be published.
struct Beat {
    slot: Slot,
    lanes: Vec<Lane>,
    watermark: Watermark,
    moved: bool,
    /// The newest `recorded_at` that is covered, where no earlier record covered as much.
    newly_covered: Option<DateTime<Utc>>,
}

impl WatermarkLoop {
    pub fn new(
        board: Board,
        tail: WatermarkTail,
        ownership: Ownership,
        publisher: WatermarkPublisher,
        names: Names,
    ) -> Self {
        Self {
            board,
            tail,
            ownership,
            publisher,
            names,
            last: BTreeMap::new(),
        }
    }

    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut moved = self.board.moved();
        let mut ownership = self.ownership.clone();
        let mut ticks = tokio::time::interval(WATERMARK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = moved.changed() => {}
                () = ownership.changed() => {}
                _ = ticks.tick() => {}
            }
            self.publish().await;
        }
    }

    async fn publish(&mut self) {
        let beats = self.beats().await;
        if beats.is_empty() {
            return;
        }
        let publications: Vec<Publication> = beats.iter().map(Beat::publication).collect();
        let outcomes = self.publisher.publish_all(&publications).await;
        let mut moved = false;
        for (beat, outcome) in beats.into_iter().zip(outcomes) {
            match outcome {
                Ok(offset) => {
                    moved |= beat.moved;
                    metrics::watermark_published(beat.newly_covered, beat.moved);
                    self.note(beat, offset);
                }
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "failed to publish a watermark");
                    metrics::watermark_failed();
                    self.board.give_back_changed(beat.slot.0, &beat.lanes);
                }
            }
        }
        if moved {
            crash::WRITE.reach("after-watermark");
        }
    }

    fn note(&mut self, beat: Beat, offset: u64) {
        let number = beat
            .lanes
            .first()
            .and_then(|lane| self.ownership.number(*lane));
        let seqs = beat
            .watermark
            .lanes
            .iter()
            .map(|mark| (mark.lane, mark.seq))
            .collect();
        let last = Last {
            at: clock::instant(),
            offset,
            number,
            seqs,
        };
        self.last.insert(beat.slot, last);
    }

    /// The records that are due.
    async fn beats(&mut self) -> Vec<Beat> {
        let owned = self.ownership.owned_partitions();
        let builds = self.board.shown();
        self.last.retain(|(build, partition), _| {
            builds.contains_key(build) && owned.contains(partition)
        });
        let heads = self.board.heads();
        let mut beats = Vec::new();
        for (build, lanes) in &builds {
            for partition in &owned {
                let slot = (*build, *partition);
                let marks = self.marks(slot, |lane| lanes.get(&lane)?.visible, &heads);
                if let Some(due) = self.due(slot, &marks, lanes).await {
                    beats.push(self.beat(slot, &heads, due == Due::Moved));
                }
            }
        }
        beats
    }

    fn lanes_of(&self, partition: i32) -> impl Iterator<Item = Lane> + use<> {
        let partitions = self.ownership.partitions();
        Lane::all().filter(move |lane| lane.partition(partitions) == partition)
    }

    /// The lanes of a partition, with what the topic says of each.
    fn marks(
        &self,
        (build, partition): Slot,
        visible: impl Fn(Lane) -> Option<Seq>,
        heads: &Heads,
    ) -> Vec<(LaneMark, Read)> {
        let lanes: Vec<Lane> = self.lanes_of(partition).collect();
        let read = self.read(build, &lanes);
        let mark = |(lane, read): (Lane, Read)| {
            let seq = visible(lane).unwrap_or(0).max(read.visible);
            let head = heads.at.map(|_| heads.seqs.get(lane).max(seq));
            (LaneMark { lane, seq, head }, read)
        };
        lanes.into_iter().zip(read).map(mark).collect()
    }

    fn read(&self, build: BuildId, lanes: &[Lane]) -> Vec<Read> {
        self.tail.read(|state| {
            let view = state.view(build.view.name());
            let of_topic = view.and_then(|view| view.builds.get(&build.number));
            let read = |lane: &Lane| {
                let known = of_topic?;
                let last = known.lanes.get(lane)?;
                Some(Read {
                    seq: last.seq,
                    visible: known.visible.get(*lane),
                    covered_recorded_at: last.covered_recorded_at,
                })
            };
            lanes
                .iter()
                .map(|lane| read(lane).unwrap_or_default())
                .collect()
        })
    }

    /// Why a record is due; none if it is not.
    async fn due(
        &self,
        slot: Slot,
        marks: &[(LaneMark, Read)],
        shown: &BTreeMap<Lane, Shown>,
    ) -> Option<Due> {
        let first = marks.first()?.0.lane;
        let last = self.last.get(&slot);
        let Some(last) = last.filter(|last| last.number == self.ownership.number(first)) else {
            return Some(Due::Moved);
        };
        let mark = |(mark, read): &(LaneMark, Read)| Mark {
            lane: mark.lane,
            seq: mark.seq,
            read: read.seq,
            has_changed: shown.get(&mark.lane).is_some_and(|lane| lane.has_changed),
        };
        let marks: Vec<Mark> = marks.iter().map(mark).collect();
        let at_once = Deadline::within(Duration::ZERO);
        let is_read = self.tail.reach(last.offset, at_once).await.is_ok();
        due(&marks, &last.seqs, last.at.elapsed(), is_read)
    }

    fn beat(&self, slot: Slot, heads: &Heads, moved: bool) -> Beat {
        let (build, partition) = slot;
        let lanes: Vec<Lane> = self.lanes_of(partition).collect();
        let mut own = self.board.take(build, &lanes);
        let marks = self.marks(slot, |lane| own.get(&lane)?.visible, heads);
        let mut changed = Changed::nothing();
        for lane in &lanes {
            changed.merge(
                own.get_mut(lane)
                    .map_or(Changed::All, |of_lane| std::mem::take(&mut of_lane.changed)),
            );
        }
        let covered = own
            .values()
            .filter_map(|of_lane| of_lane.covered_recorded_at);
        let read = marks
            .iter()
            .filter_map(|(_, read)| read.covered_recorded_at)
            .max();
        let covered = covered.max();
        let watermark = Watermark {
            version: version(build.view),
            epoch: self.names.epoch(),
            lanes: marks.iter().map(|(mark, _)| *mark).collect(),
            at: clock::now(),
            heads_at: heads.at,
            covered_recorded_at: covered.max(read),
            held: BTreeMap::new(),
            changed: match changed {
                Changed::All => None,
                Changed::These(these) => Some(these.into_iter().collect()),
            },
        };
        Beat {
            slot,
            lanes,
            watermark,
            moved,
            // What the previous owner had shown is not new.
            newly_covered: covered.filter(|covered| moved && Some(*covered) > read),
        }
    }
}

impl Beat {
    fn publication(&self) -> Publication {
        let (build, partition) = self.slot;
        let view = build.view.name().to_owned();
        let key = Key::Watermark {
            view,
            build: build.number,
            partition,
        };
        let value = serde_json::to_vec(&self.watermark).expect("watermarks are plain data");
        (key, Some(value))
    }
}
