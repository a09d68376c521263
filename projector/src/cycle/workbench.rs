//! The workbench of one build: its cache, and how batches are folded and written with it.
//!
//! It knows nothing of what arrives or of other builds. A batch is folded up to a barrier or its
//! end, written, settled; an error leaves it to the build to begin again at its checkpoints.

use std::collections::BTreeSet;

use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use schemas::view::{Document, View};
use uuid::Uuid;

use super::Parts;
use super::hand::{Held, Large};
use super::refresh::Refreshes;
use super::run::{LaneRun, Refusal, Refusals};
use crate::cache::{Cached, DocumentCache};
use crate::config::LIVE_BULK_BYTES;
use crate::event_table::TableError;
use crate::project::{Slot, Working, fold_events};
use crate::sink::{Bulk, Op, Outcome, Portion, Sink, SinkError, Target, Versioning};

#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("read the events of a document")]
    Restore(#[from] TableError),
    #[error("the index of the build is missing")]
    Lost,
}

#[derive(Debug)]
pub(super) struct Workbench {
    pub(super) target: Target,
    pub(super) sink: Sink,
    pub(super) pool: Pool,
    pub(super) cache: DocumentCache,
    pub(super) portion: Portion,
    pub(super) refreshes: Refreshes,
}

impl Workbench {
    pub(super) fn new(target: Target, parts: &Parts) -> Self {
        let (sink, board) = (parts.sink.clone(), parts.board.clone());
        Self {
            refreshes: Refreshes::new(target.clone(), sink.clone(), board),
            cache: DocumentCache::new(parts.cache.clone()),
            portion: Portion::default(),
            target,
            sink,
            pool: parts.pool.clone(),
        }
    }

    pub(super) fn view(&self) -> View {
        self.target.build.view
    }

    /// Forgets the documents of lanes that go.
    pub(super) fn forget(&mut self, lanes: &BTreeSet<Lane>) {
        self.cache.retain(|lane| !lanes.contains(&lane));
    }

    /// Forgets what is not safely behind a checkpoint.
    pub(super) fn restart(&mut self) {
        self.cache.clear();
        self.refreshes.request();
    }

    /// Folds the runs up to their ends, and returns once everything is acknowledged.
    pub(super) async fn work(&mut self, runs: &mut [LaneRun]) -> Result<(), WorkError> {
        let mut large = Large::new();
        while runs.iter().any(|run| !run.rest().is_empty()) {
            self.fold_segment(runs, &mut large).await?;
            self.pass_barriers(runs).await?;
        }
        Ok(())
    }

    /// Folds every run up to its end, its next barrier or what there is room for, and writes what
    /// changed. A run with a document
    /// that is refused begins anew before it, with fewer events, until the one at fault is found.
    async fn fold_segment(
        &mut self,
        runs: &mut [LaneRun],
        large: &mut Large,
    ) -> Result<(), WorkError> {
        let held = self.take_in_hand(runs, large).await?;
        let Held {
            documents,
            audiences,
            ..
        } = held;
        let mut working = Working::new();
        let mut folds = Vec::with_capacity(runs.len());
        for (run, mut documents) in runs.iter().zip(documents) {
            let entries = run.rest().iter();
            let fold = fold_events(self.view(), entries, &mut documents, &audiences);
            folds.push(fold);
            working.extend(documents);
        }
        let mut refusals = Refusals::default();
        self.write(working, |_| true, &mut refusals).await?;
        for (run, fold) in runs.iter_mut().zip(folds) {
            run.settle(fold, &refusals);
        }
        Ok(())
    }

    /// Writes what changed in hand and puts documents into the cache where `keep` says so.
    pub(super) async fn write(
        &mut self,
        mut working: Working,
        keep: impl Fn(Uuid) -> bool,
        refusals: &mut Refusals,
    ) -> Result<(), WorkError> {
        let mut bulk = Bulk::default();
        let mut written: Vec<(Op, Outcome)> = Vec::new();
        for slot in working.values() {
            let Some((document, first, versioning)) = to_write(slot) else {
                continue;
            };
            self.refreshes.request();
            bulk.push(&self.target, document, first, versioning);
            if bulk.bytes() >= LIVE_BULK_BYTES {
                written.extend(self.sink.write(std::mem::take(&mut bulk)).await?);
            }
        }
        written.extend(self.sink.write(bulk).await?);
        for (op, outcome) in written {
            let slot = working.remove(&op.id).unwrap_or_default();
            match outcome {
                Outcome::Written if keep(op.id) => self.put_back(Slot {
                    confirmed: true,
                    bytes: op.bytes,
                    ..slot
                }),
                Outcome::Written | Outcome::Superseded => {}
                Outcome::Lost => return Err(WorkError::Lost),
                Outcome::Refused(reason) => {
                    let (first, last) = (op.first, op.version);
                    let refusal = Refusal {
                        first,
                        last,
                        reason,
                    };
                    refusals.add(op.lane, refusal);
                }
            }
        }
        for (id, slot) in working {
            if keep(id) {
                self.put_back(slot);
            }
        }
        Ok(())
    }

    fn put_back(&mut self, slot: Slot) {
        let Slot {
            document,
            confirmed,
            bytes,
            ..
        } = slot;
        if let Some(document) = document {
            self.cache.put(Cached {
                document,
                confirmed,
                bytes,
            });
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
        // What stands in the place of a restored document has no version of ours.
        Some(first) if slot.restored => Some((document, first, Versioning::ExternalGte)),
        Some(first) => Some((document, first, Versioning::External)),
        None if slot.rewrite || slot.restored => Some((
            document,
            (document.seq(), Uuid::nil()),
            Versioning::ExternalGte,
        )),
        None => None,
    }
}
