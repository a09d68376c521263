//! Barriers: broadcasts that concern more documents of their lanes than are taken in hand.
//!
//! What came before is written and refreshed, so that a search finds all of them; then one pass
//! over those documents folds the event in. Lanes that stand at one together share the pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::event::Envelope;
use schemas::lane::Lane;
use schemas::view::{Document, Targets};
use schemas::watermark::subject_hash;
use uuid::Uuid;

use super::Cycle;
use super::hand::{audience_query, slot_of};
use super::run::LaneRun;
use super::segment::{Refusals, in_hand};
use crate::cache::BuildId;
use crate::metrics;
use crate::project::{Content, Fold, Stand, Working, fold_broadcast};
use crate::sink::{Found, SinkError};

/// Lanes of a build that stand before an event with the same question.
#[derive(Debug)]
struct Barrier {
    build: BuildId,
    field: &'static str,
    id: Uuid,
    lanes: BTreeMap<Lane, Arc<Envelope>>,
}

impl Cycle {
    /// Takes all runs over the barrier that they stand at.
    pub(super) async fn pass_barriers(&mut self, runs: &mut [LaneRun]) -> Result<(), SinkError> {
        let barriers = barriers_of(runs);
        let builds: BTreeSet<BuildId> = barriers.iter().map(|barrier| barrier.build).collect();
        self.refresh_written(builds).await?;
        let mut refusals = Refusals::default();
        let mut changed = BTreeMap::new();
        for barrier in &barriers {
            self.pass(barrier, &mut refusals, &mut changed).await?;
        }
        for build in refusals.lost() {
            self.lose(build);
        }
        for run in runs {
            let changed = changed.remove(&(run.build, run.lane)).unwrap_or_default();
            let fold = Fold {
                entries: 1,
                stand: Stand::End,
                changed,
            };
            self.settle(run, fold, &refusals);
        }
        Ok(())
    }

    async fn pass(
        &mut self,
        barrier: &Barrier,
        refusals: &mut Refusals,
        changed: &mut BTreeMap<(BuildId, Lane), Vec<u32>>,
    ) -> Result<(), SinkError> {
        let Some(feed) = self.feeds.get(&barrier.build) else {
            return Ok(());
        };
        let index = feed.target.index.clone();
        let audience = (barrier.field, barrier.id);
        let query = audience_query(audience, barrier.lanes.keys().copied());
        let mut pages = self.parts.sink.pages(&index, query).await?;
        let mut passed = 0;
        while let Some(found) = pages.next().await? {
            passed += found.len();
            let (working, cached) = self.in_hand_of(barrier, found)?;
            self.fold_and_write(barrier, (working, cached), refusals, changed)
                .await?;
        }
        pages.close().await;
        metrics::barrier_passed(passed);
        self.pass_cached(barrier, refusals, changed).await
    }

    /// What the search found, or the newer copy that the cache has of it.
    fn in_hand_of(
        &mut self,
        barrier: &Barrier,
        found: Vec<Found>,
    ) -> Result<(Working, BTreeSet<Uuid>), SinkError> {
        let (mut working, mut cached) = (Working::new(), BTreeSet::new());
        for found in found {
            let mut slot = slot_of(barrier.build, &found)?;
            let Some(id) = slot.document.as_ref().map(Document::id) else {
                continue;
            };
            if let Some(kept) = self.cache.take(barrier.build, id) {
                cached.insert(id);
                slot = in_hand(kept);
            }
            working.insert(id, slot);
        }
        Ok((working, cached))
    }

    /// Documents in the cache that the search did not find, though they match.
    async fn pass_cached(
        &mut self,
        barrier: &Barrier,
        refusals: &mut Refusals,
        changed: &mut BTreeMap<(BuildId, Lane), Vec<u32>>,
    ) -> Result<(), SinkError> {
        let ids = self.cache.ids(barrier.build, |document| {
            let event = barrier.lanes.get(&document.lane());
            event.is_some_and(|event| document.seq() < event.seq)
                && document.has(barrier.field, barrier.id)
        });
        let working: Working = ids
            .iter()
            .filter_map(|id| Some((*id, in_hand(self.cache.take(barrier.build, *id)?))))
            .collect();
        let cached = ids.into_iter().collect();
        self.fold_and_write(barrier, (working, cached), refusals, changed)
            .await
    }

    async fn fold_and_write(
        &mut self,
        barrier: &Barrier,
        (mut working, cached): (Working, BTreeSet<Uuid>),
        refusals: &mut Refusals,
        changed: &mut BTreeMap<(BuildId, Lane), Vec<u32>>,
    ) -> Result<(), SinkError> {
        for (id, slot) in &mut working {
            let lane = slot.document.as_ref().map(Document::lane);
            let event = lane.and_then(|lane| Some((lane, barrier.lanes.get(&lane)?)));
            let Some((lane, envelope)) = event else {
                continue;
            };
            match fold_broadcast(barrier.build.view, envelope, slot) {
                Ok(true) => {
                    changed
                        .entry((barrier.build, lane))
                        .or_default()
                        .push(subject_hash(*id));
                }
                Ok(false) => {}
                Err(stopped) => refusals.stop(barrier.build, lane, stopped),
            }
        }
        self.write(barrier.build, working, |id| cached.contains(&id), refusals)
            .await
    }
}

fn barriers_of(runs: &[LaneRun]) -> Vec<Barrier> {
    let mut barriers: BTreeMap<(BuildId, &'static str, Uuid), Barrier> = BTreeMap::new();
    for run in runs {
        let Some(Content::Event(envelope)) = run.rest().first().map(|entry| &entry.content) else {
            continue;
        };
        let Targets::Where { field, id } = run.build.view.targets(&envelope.event) else {
            continue;
        };
        let barrier = barriers
            .entry((run.build, field, id))
            .or_insert_with(|| Barrier {
                build: run.build,
                field,
                id,
                lanes: BTreeMap::new(),
            });
        barrier.lanes.insert(run.lane, Arc::clone(envelope));
    }
    barriers.into_values().collect()
}
