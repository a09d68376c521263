//! Barriers: broadcasts that concern more documents of their lanes than are taken in hand.
//!
//! What came before is written and refreshed, so that a search finds all of them; then one pass
//! over those documents folds the event in. Lanes that stand at one together share the pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::event::Envelope;
use schemas::lane::Lane;
use schemas::view::{Targets, View};
use schemas::watermark::subject_hash;
use uuid::Uuid;

use super::hand::{audience_query, place_of};
use super::run::{LaneRun, Refusal, Refusals};
use super::workbench::{WorkError, Workbench, in_hand};
use crate::metrics;
use crate::project::{Audience, Content, Fold, Stand, Working, fold_broadcast};
use crate::sink::Found;

/// Lanes that stand before an event with the same question.
type Barrier = BTreeMap<Lane, Arc<Envelope>>;

/// How the documents of a pass came out, by lane.
#[derive(Debug, Default)]
struct Passed {
    refusals: Refusals,
    changed: BTreeMap<Lane, Vec<u32>>,
}

impl Workbench {
    /// Takes all runs over the barrier that they stand at, where they do.
    pub(super) async fn pass_barriers(&mut self, runs: &mut [LaneRun]) -> Result<(), WorkError> {
        let barriers = barriers_of(self.view(), runs);
        if barriers.is_empty() {
            return Ok(());
        }
        self.refreshes.drain().await?;
        let mut passed = Passed::default();
        for (audience, barrier) in &barriers {
            self.pass(*audience, barrier, &mut passed).await?;
        }
        for run in runs.iter_mut().filter(|run| run.is_at_barrier()) {
            let fold = Fold {
                entries: 1,
                stand: Stand::End,
                changed: passed.changed.remove(&run.lane()).unwrap_or_default(),
            };
            run.settle(fold, &passed.refusals);
        }
        Ok(())
    }

    async fn pass(
        &mut self,
        (field, id): Audience,
        barrier: &Barrier,
        passed: &mut Passed,
    ) -> Result<(), WorkError> {
        let query = audience_query((field, id), barrier.keys().copied());
        let mut pages = self.sink.pages(&self.target.index, query).await?;
        let mut count = 0;
        while let Some(found) = pages.next().await? {
            count += found.len();
            let in_hand = self.in_hand_of(barrier, found).await?;
            self.fold_and_write(barrier, in_hand, passed).await?;
        }
        pages.close().await;
        metrics::barrier_passed(count);
        self.pass_cached((field, id), barrier, passed).await
    }

    /// What the search found, or the newer copy that the cache has of it.
    async fn in_hand_of(
        &mut self,
        barrier: &Barrier,
        found: Vec<Found>,
    ) -> Result<(Working, BTreeSet<Uuid>), WorkError> {
        let (mut working, mut cached) = (Working::new(), BTreeSet::new());
        for found in found {
            let next = |lane: Lane| Some(barrier.get(&lane)?.seq);
            let mut slot = self.adopt(&found, next).await?;
            let Some((id, _)) = place_of(&slot) else {
                continue;
            };
            if let Some(kept) = self.cache.take(id) {
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
        (field, id): Audience,
        barrier: &Barrier,
        passed: &mut Passed,
    ) -> Result<(), WorkError> {
        let ids = self.cache.ids(|document| {
            let event = barrier.get(&document.lane());
            event.is_some_and(|event| document.seq() < event.seq) && document.has(field, id)
        });
        let working: Working = ids
            .iter()
            .filter_map(|id| Some((*id, in_hand(self.cache.take(*id)?))))
            .collect();
        let cached = ids.into_iter().collect();
        self.fold_and_write(barrier, (working, cached), passed)
            .await
    }

    async fn fold_and_write(
        &mut self,
        barrier: &Barrier,
        (mut working, cached): (Working, BTreeSet<Uuid>),
        passed: &mut Passed,
    ) -> Result<(), WorkError> {
        for slot in working.values_mut() {
            let Some((id, lane)) = place_of(slot) else {
                continue;
            };
            let Some(envelope) = barrier.get(&lane) else {
                continue;
            };
            match fold_broadcast(self.view(), envelope, slot) {
                Ok(true) => passed
                    .changed
                    .entry(lane)
                    .or_default()
                    .push(subject_hash(id)),
                Ok(false) => {}
                Err(stopped) => {
                    let refusal = Refusal {
                        first: (envelope.seq, envelope.event_id),
                        last: envelope.seq,
                        reason: stopped.reason().to_owned(),
                    };
                    passed.refusals.add(lane, refusal);
                }
            }
        }
        let keep = |id| cached.contains(&id);
        self.write(working, keep, &mut passed.refusals).await
    }
}

fn barriers_of(view: View, runs: &[LaneRun]) -> BTreeMap<Audience, Barrier> {
    let mut barriers: BTreeMap<Audience, Barrier> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.is_at_barrier()) {
        let Some(Content::Event(envelope)) = run.rest().first().map(|entry| &entry.content) else {
            continue;
        };
        if let Targets::Where { field, id } = view.targets(&envelope.event) {
            let barrier = barriers.entry((field, id)).or_default();
            barrier.insert(run.lane(), Arc::clone(envelope));
        }
    }
    barriers
}
