//! One segment of a cycle: folded up to a barrier or the end, written, settled.

use std::collections::{BTreeMap, BTreeSet};

use schemas::lane::{Lane, Seq};
use schemas::view::Document;
use uuid::Uuid;

use super::Cycle;
use super::hand::{Held, Large};
use super::run::LaneRun;
use crate::cache::{BuildId, Cached};
use crate::project::{Content, Fold, Slot, Stand, Stopped, Working, fold_events};
use crate::sink::{Bulk, Op, Outcome, SinkError, Versioning};

const BULK_BYTES: usize = 8 * 1024 * 1024;

/// What did not go well in a write, by lane.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    lanes: BTreeMap<(BuildId, Lane), Stopped>,
    lost: BTreeSet<BuildId>,
}

impl Refusals {
    pub(super) fn stop(&mut self, build: BuildId, lane: Lane, stopped: Stopped) {
        let first = self
            .lanes
            .entry((build, lane))
            .or_insert_with(|| stopped.clone());
        if stopped.seq() < first.seq() {
            *first = stopped;
        }
    }

    pub(super) fn of(&self, build: BuildId, lane: Lane) -> Option<&Stopped> {
        self.lanes.get(&(build, lane))
    }

    pub(super) fn lost(&self) -> impl Iterator<Item = BuildId> + '_ {
        self.lost.iter().copied()
    }
}

impl Cycle {
    /// Folds every run up to its end or next barrier, and writes what changed.
    pub(super) async fn fold_segment(
        &mut self,
        runs: &mut [LaneRun],
        large: &mut Large,
    ) -> Result<(), SinkError> {
        let Held {
            documents,
            audiences,
        } = self.take_in_hand(runs, large).await?;
        let none = BTreeSet::new();
        let mut working: BTreeMap<BuildId, Working> = BTreeMap::new();
        let mut folds = Vec::with_capacity(runs.len());
        for (run, mut documents) in runs.iter().zip(documents) {
            let in_hand = audiences.get(&run.build).unwrap_or(&none);
            let entries = run.rest().iter();
            folds.push(fold_events(
                run.build.view,
                entries,
                &mut documents,
                in_hand,
            ));
            working.entry(run.build).or_default().extend(documents);
        }
        let mut refusals = Refusals::default();
        for (build, of_build) in working {
            self.write(build, of_build, |_| true, &mut refusals).await?;
        }
        for build in refusals.lost() {
            self.lose(build);
        }
        for (run, fold) in runs.iter_mut().zip(folds) {
            self.settle(run, fold, &refusals);
        }
        Ok(())
    }

    /// Writes what changed in hand and puts documents into the cache where `keep` says so.
    pub(super) async fn write(
        &mut self,
        build: BuildId,
        mut working: Working,
        keep: impl Fn(Uuid) -> bool,
        refusals: &mut Refusals,
    ) -> Result<(), SinkError> {
        let Some(feed) = self.feeds.get_mut(&build) else {
            return Ok(());
        };
        let target = feed.target.clone();
        let mut bulk = Bulk::default();
        let mut written: Vec<(Op, Outcome)> = Vec::new();
        for slot in working.values() {
            let Some((document, first, versioning)) = to_write(slot) else {
                continue;
            };
            feed.unrefreshed = true;
            bulk.push(&target, document, first, versioning);
            if bulk.bytes() >= BULK_BYTES {
                written.extend(self.parts.sink.write(std::mem::take(&mut bulk)).await?);
            }
        }
        written.extend(self.parts.sink.write(bulk).await?);
        for (op, outcome) in written {
            let slot = working.remove(&op.id).unwrap_or_default();
            match outcome {
                Outcome::Written if keep(op.id) => {
                    self.put_back(
                        build,
                        Slot {
                            confirmed: true,
                            bytes: op.bytes,
                            ..slot
                        },
                    );
                }
                Outcome::Written | Outcome::Superseded => {}
                Outcome::Lost => {
                    refusals.lost.insert(build);
                }
                Outcome::Refused(reason) => {
                    let (seq, event_id) = op.first;
                    refusals.stop(
                        build,
                        op.lane,
                        Stopped::Poison {
                            seq,
                            event_id,
                            reason,
                        },
                    );
                }
            }
        }
        for (id, slot) in working {
            if keep(id) {
                self.put_back(build, slot);
            }
        }
        Ok(())
    }

    fn put_back(&mut self, build: BuildId, slot: Slot) {
        let Slot {
            document,
            confirmed,
            bytes,
            ..
        } = slot;
        if let Some(document) = document {
            self.cache.put(
                build,
                Cached {
                    document,
                    confirmed,
                    bytes,
                },
            );
        }
    }

    /// Moves a lane to where its run has come to.
    pub(super) fn settle(&mut self, run: &mut LaneRun, fold: Fold, refusals: &Refusals) {
        let Some(feed) = self.feeds.get_mut(&run.build) else {
            return;
        };
        let Some(progress) = feed.follows(run.lane) else {
            return;
        };
        let stand = match fold.stand {
            Stand::Stopped(stopped) => Some(stopped),
            Stand::End | Stand::Barrier(_) => None,
        };
        let refused = refusals.of(run.build, run.lane).cloned();
        let stopped = stand.into_iter().chain(refused).min_by_key(Stopped::seq);
        run.advance(fold.entries);
        let folded_to = progress.applied + fold.entries as Seq;
        let to = stopped
            .as_ref()
            .map_or(folded_to, |stopped| folded_to.min(stopped.seq() - 1));
        progress.changed.add(fold.changed);
        progress.move_to(run, to);
        if let Some(stopped) = stopped {
            progress.stopped = Some(stopped.clone());
            self.mourn(run.build, run.lane, &stopped);
        }
    }
}

impl super::feed::Progress {
    /// All up to `seq`, which the run holds, is acknowledged.
    pub(super) fn move_to(&mut self, run: &LaneRun, seq: Seq) {
        let Some(entry) = run.at(seq).filter(|_| seq > self.applied) else {
            return;
        };
        self.applied = seq;
        self.event_id = Some(entry.event_id);
        if let Content::Event(envelope) = &entry.content {
            self.recorded_at = Some(envelope.recorded_at);
        }
    }
}

pub(super) fn in_hand(cached: Cached) -> Slot {
    Slot {
        document: Some(cached.document),
        confirmed: cached.confirmed,
        bytes: cached.bytes,
        ..Slot::default()
    }
}

/// What of a document in hand is to be written, and how.
fn to_write(slot: &Slot) -> Option<(&Document, (Seq, Uuid), Versioning)> {
    let document = slot.document.as_ref()?;
    match slot.first {
        Some(first) => Some((document, first, Versioning::External)),
        None if slot.rewrite => Some((
            document,
            (document.seq(), Uuid::nil()),
            Versioning::ExternalGte,
        )),
        None => None,
    }
}
