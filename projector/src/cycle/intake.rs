//! What has arrived for each lane, from Kafka and from the table, and what of it comes next.
//!
//! Entries beyond a gap wait here for what the table brings, within bounds: what is dropped, the
//! table brings as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use schemas::lane::{Lane, LaneSeqs, Seq};
use tokio::time::Instant;

use super::feed::{Feed, Progress};
use super::run::LaneRun;
use crate::cache::BuildId;
use crate::consume::{Arrival, Offsets, Ownership};
use crate::ending::Ending;
use crate::fill::{Extent, Page, Wanted};
use crate::metrics;
use crate::project::{LogEntry, Recent, next_run};

/// A head may be ahead of what Kafka has brought for so long before the table is asked.
const QUIET: Duration = Duration::from_secs(1);
const MAX_WAITING: usize = 1_024;
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// All lanes' intake.
#[derive(Debug)]
pub(super) struct Intake {
    lanes: Vec<LaneIntake>,
    offsets: Offsets,
}

#[derive(Debug, Default)]
struct LaneIntake {
    /// The assignment under which the lane is ours.
    number: Option<u64>,
    recent: Recent,
    /// Highest seq that is known to exist.
    seen: Seq,
    published: Option<Seq>,
    waiting: Vec<LogEntry>,
    extent: Option<Extent>,
    arrived_at: Option<Instant>,
    ahead_since: Option<Instant>,
}

impl Intake {
    pub(super) fn new() -> Self {
        let lanes = Lane::all().map(|_| LaneIntake::default()).collect();
        Self {
            lanes,
            offsets: Offsets::new(),
        }
    }

    /// Starts lanes anew whose assignment changed, and names them.
    pub(super) fn assign(&mut self, ownership: &Ownership) -> Vec<Lane> {
        let owned = ownership.owned_partitions();
        self.offsets
            .retain(|partition, _| owned.contains(partition));
        let mut changed = Vec::new();
        for lane in Lane::all() {
            let number = ownership.number(lane);
            let intake = &mut self.lanes[lane.index()];
            if intake.number != number {
                *intake = LaneIntake {
                    number,
                    ..LaneIntake::default()
                };
                changed.push(lane);
            }
        }
        changed
    }

    pub(super) fn number(&self, lane: Lane) -> Option<u64> {
        self.lanes[lane.index()].number
    }

    pub(super) fn published(&self, lane: Lane) -> Option<Seq> {
        self.lanes[lane.index()].published
    }

    pub(super) fn offsets(&self) -> Offsets {
        self.offsets.clone()
    }

    /// Highest seqs known to exist: what the table, asked after this, must have.
    pub(super) fn seen(&self) -> LaneSeqs {
        Lane::all()
            .map(|lane| (lane, self.lanes[lane.index()].seen))
            .collect()
    }

    /// Forgets what waits, since its lanes go back to their checkpoints.
    pub(super) fn forget_waiting(&mut self) {
        for intake in &mut self.lanes {
            intake.waiting.clear();
            intake.extent = None;
        }
    }

    /// Notes the event of a checkpoint: another one in its place is another history.
    pub(super) fn remember(
        &mut self,
        lane: Lane,
        seq: Seq,
        event_id: uuid::Uuid,
    ) -> Result<(), Ending> {
        let intake = &mut self.lanes[lane.index()];
        intake.seen = intake.seen.max(seq);
        if intake.recent.agrees(seq, event_id) {
            return Ok(());
        }
        Err(Ending::another_event(lane, seq))
    }

    /// Takes in records of the events topic.
    pub(super) fn take_arrivals(&mut self, arrivals: Vec<Arrival>) -> Result<(), Ending> {
        let now = clock::instant();
        for arrival in arrivals {
            let Arrival {
                partition,
                offset,
                assignment,
                entry,
            } = arrival;
            let (lane, seq) = (entry.position.lane, entry.seq());
            let intake = &mut self.lanes[lane.index()];
            if intake.number != Some(assignment) {
                continue;
            }
            intake.note(&entry)?;
            intake.arrived_at = Some(now);
            intake.published = intake.published.max(Some(seq));
            intake.waiting.push(entry);
            self.offsets.insert(partition, offset + 1);
        }
        Ok(())
    }

    /// Takes in a page of the table; `seen` is from before it was asked.
    pub(super) fn take_page(&mut self, page: Page, seen: &LaneSeqs) -> Result<(), Ending> {
        for (lane, (entries, extent)) in page.lanes {
            let intake = &mut self.lanes[lane.index()];
            if intake.number.is_none() {
                continue;
            }
            let first = entries.first().map_or(0, LogEntry::seq);
            if !extent.dense {
                return Err(Ending::not_dense(lane, first));
            }
            if extent.exhausted && extent.last < seen.get(lane) {
                return Err(Ending::beyond_head(lane, seen.get(lane), extent.last));
            }
            metrics::filled(entries.len());
            for entry in entries {
                intake.note(&entry)?;
                intake.waiting.push(entry);
            }
            intake.extent = Some(extent);
        }
        Ok(())
    }

    /// What each build folds next. What waits beyond a gap stays.
    pub(super) fn plan(&mut self, feeds: &mut BTreeMap<BuildId, Feed>) -> Vec<LaneRun> {
        let mut runs = Vec::new();
        for lane in Lane::all() {
            let intake = &mut self.lanes[lane.index()];
            let extent = intake.extent.take();
            if intake.waiting.is_empty() && extent.is_none() {
                continue;
            }
            let entries = intake.sorted();
            let mut keep_from = entries.len();
            for feed in feeds.values_mut() {
                let build = feed.id();
                let Some(progress) = feed.follows(lane) else {
                    continue;
                };
                let run = next_run(progress.applied, &entries);
                progress.plan(run.to - run.from, run.gap, extent);
                if run.gap {
                    keep_from = keep_from.min(run.to);
                }
                if run.from < run.to {
                    let entries = Arc::clone(&entries);
                    runs.push(LaneRun::new((build, lane), Arc::clone(&entries), run));
                }
            }
            intake.keep(&entries[keep_from..]);
        }
        runs
    }

    /// Where the table has to be asked, and from which known seq on.
    pub(super) fn wanted(feeds: &mut BTreeMap<BuildId, Feed>) -> Wanted {
        let mut wanted = Wanted::new();
        for feed in feeds.values_mut() {
            for (lane, progress) in feed.following().filter(|(_, progress)| progress.wants) {
                let from = wanted.entry(lane).or_insert(progress.planned);
                *from = progress.planned.min(*from);
            }
        }
        wanted
    }

    /// Asks the table for lanes whose head is ahead while nothing of them arrives.
    pub(super) fn watch_heads(&mut self, heads: &LaneSeqs, feeds: &mut BTreeMap<BuildId, Feed>) {
        for feed in feeds.values_mut() {
            for (lane, progress) in feed.following() {
                let intake = &mut self.lanes[lane.index()];
                if progress.applied < heads.get(lane) && intake.is_quiet() {
                    progress.wants = true;
                }
            }
        }
        for lane in Lane::all() {
            let applied = feeds
                .values_mut()
                .filter_map(|feed| Some(feed.follows(lane)?.applied));
            let ahead = applied.min().is_some_and(|lowest| lowest < heads.get(lane));
            let since = &mut self.lanes[lane.index()].ahead_since;
            *since = if ahead {
                since.or_else(|| Some(clock::instant()))
            } else {
                None
            };
        }
    }
}

impl LaneIntake {
    fn note(&mut self, entry: &LogEntry) -> Result<(), Ending> {
        self.seen = self.seen.max(entry.seq());
        if self.recent.agrees(entry.seq(), entry.event_id) {
            return Ok(());
        }
        Err(Ending::another_event(entry.position.lane, entry.seq()))
    }

    /// What waits, by seq, each once; where both are there, the table's word counts.
    fn sorted(&mut self) -> Arc<Vec<LogEntry>> {
        let mut entries = std::mem::take(&mut self.waiting);
        entries.sort_by_key(|entry| (entry.seq(), entry.is_asking()));
        entries.dedup_by_key(|entry| entry.seq());
        Arc::new(entries)
    }

    fn keep(&mut self, beyond: &[LogEntry]) {
        let mut bytes = 0;
        let bounded = beyond.iter().take(MAX_WAITING).take_while(|entry| {
            bytes += entry.bytes;
            bytes <= MAX_WAITING_BYTES
        });
        self.waiting.extend(bounded.cloned());
    }

    fn is_quiet(&self) -> bool {
        let long_ago = |at: Instant| at.elapsed() >= QUIET;
        self.arrived_at.is_none_or(long_ago) && self.ahead_since.is_some_and(long_ago)
    }
}

impl Progress {
    /// Notes what this cycle folds, and whether the table has to be asked for more.
    fn plan(&mut self, entries: usize, gap: bool, extent: Option<Extent>) {
        self.planned = self.applied + entries as Seq;
        let at_end = extent.is_some_and(|extent| extent.exhausted && self.planned >= extent.last);
        self.wants = gap || (self.wants && !at_end);
    }
}
