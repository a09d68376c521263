//! Taking documents in hand before a segment is folded: those that events name, and those that
//! broadcasts concern, where they are few.
//!
//! A broadcast whose audience is in hand is an event like any other: many of them, and what is
//! between, cost one refresh and one write of each document. One with a larger audience is a
//! barrier.

use std::collections::{BTreeMap, BTreeSet};

use schemas::lane::Lane;
use serde_json::json;
use uuid::Uuid;

use super::Cycle;
use super::run::LaneRun;
use super::segment::in_hand;
use crate::cache::BuildId;
use crate::metrics;
use crate::project::{Audience, Slot, Working, audiences_of, targets_of};
use crate::sink::{Found, SinkError};

const READ_AT_ONCE: usize = 500;
/// So many documents of audiences are in hand at once.
const MAX_AUDIENCE: usize = 2_000;

/// Documents in hand, for each run.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) documents: Vec<Working>,
    /// Audiences that are in hand whole.
    pub(super) audiences: BTreeMap<BuildId, BTreeSet<Audience>>,
}

/// Audiences that were found to be large.
pub(super) type Large = BTreeSet<(BuildId, Audience)>;

impl Cycle {
    /// All that the runs need up to their end, or to their first broadcast with a large audience.
    pub(super) async fn take_in_hand(
        &mut self,
        runs: &[LaneRun],
        large: &mut Large,
    ) -> Result<Held, SinkError> {
        let mut held = Held {
            documents: runs.iter().map(|_| Working::new()).collect(),
            audiences: BTreeMap::new(),
        };
        self.take_audiences(runs, large, &mut held).await?;
        self.take_targets(runs, &mut held).await?;
        Ok(held)
    }

    async fn take_audiences(
        &mut self,
        runs: &[LaneRun],
        large: &mut Large,
        held: &mut Held,
    ) -> Result<(), SinkError> {
        let mut asked: BTreeMap<(BuildId, Audience), BTreeMap<Lane, usize>> = BTreeMap::new();
        for (index, run) in runs.iter().enumerate() {
            let audiences = audiences_of(run.build.view, run.rest().iter());
            for audience in audiences.take_while(|at| !large.contains(&(run.build, *at))) {
                let lanes = asked.entry((run.build, audience)).or_default();
                lanes.insert(run.lane, index);
            }
        }
        let builds: BTreeSet<BuildId> = asked.keys().map(|(build, _)| *build).collect();
        self.refresh_written(builds).await?;
        let mut room = MAX_AUDIENCE;
        for ((build, audience), lanes) in asked {
            let Some(found) = self.find_few(build, audience, &lanes, room).await? else {
                // One that is only too large for what room is left may fit next time.
                if room == MAX_AUDIENCE {
                    large.insert((build, audience));
                }
                continue;
            };
            room -= found.len();
            self.take_audience(build, audience, found, &lanes, held)?;
        }
        Ok(())
    }

    /// The audience in these lanes, as it was last refreshed. None where it is large.
    async fn find_few(
        &self,
        build: BuildId,
        (field, id): Audience,
        lanes: &BTreeMap<Lane, usize>,
        limit: usize,
    ) -> Result<Option<Vec<Found>>, SinkError> {
        let Some(feed) = self.feeds.get(&build) else {
            return Ok(Some(Vec::new()));
        };
        let query = audience_query((field, id), lanes.keys().copied());
        self.parts.sink.few(&feed.target.index, &query, limit).await
    }

    /// What was found, or the newer copies that the cache has, and what only the cache has.
    fn take_audience(
        &mut self,
        build: BuildId,
        (field, id): Audience,
        found: Vec<Found>,
        lanes: &BTreeMap<Lane, usize>,
        held: &mut Held,
    ) -> Result<(), SinkError> {
        for found in found {
            let slot = slot_of(build, &found)?;
            let document = slot.document.as_ref();
            let Some((id, run)) = document.and_then(|d| Some((d.id(), *lanes.get(&d.lane())?)))
            else {
                continue;
            };
            let cached = self.cache.take(build, id).map(in_hand);
            held.documents[run]
                .entry(id)
                .or_insert(cached.unwrap_or(slot));
        }
        let only_cached = self.cache.ids(build, |document| {
            lanes.contains_key(&document.lane()) && document.has(field, id)
        });
        for cached in only_cached
            .into_iter()
            .filter_map(|id| self.cache.take(build, id))
        {
            let run = lanes[&cached.document.lane()];
            held.documents[run].insert(cached.document.id(), in_hand(cached));
        }
        held.audiences.entry(build).or_default().insert((field, id));
        Ok(())
    }

    /// The documents that events name, from the cache or as they were last written.
    async fn take_targets(&mut self, runs: &[LaneRun], held: &mut Held) -> Result<(), SinkError> {
        let mut missing: BTreeMap<BuildId, Vec<(usize, Uuid)>> = BTreeMap::new();
        let mut taken = 0;
        for (index, run) in runs.iter().enumerate() {
            let audiences = held.audiences.entry(run.build).or_default();
            for id in targets_of(run.build.view, run.rest().iter(), audiences) {
                let cache = &mut self.cache;
                held.documents[index].entry(id).or_insert_with(|| {
                    let cached = cache.take(run.build, id);
                    match &cached {
                        Some(_) => taken += 1,
                        None => missing.entry(run.build).or_default().push((index, id)),
                    }
                    cached.map(in_hand).unwrap_or_default()
                });
            }
        }
        metrics::documents_in_hand(taken, missing.values().map(Vec::len).sum());
        for (build, missing) in missing {
            self.read_missing(build, &missing, &mut held.documents)
                .await?;
        }
        Ok(())
    }

    async fn read_missing(
        &self,
        build: BuildId,
        missing: &[(usize, Uuid)],
        documents: &mut [Working],
    ) -> Result<(), SinkError> {
        let Some(feed) = self.feeds.get(&build) else {
            return Ok(());
        };
        for wanted in missing.chunks(READ_AT_ONCE) {
            let ids: Vec<Uuid> = wanted.iter().map(|(_, id)| *id).collect();
            let found = self.parts.sink.read(&feed.target.index, &ids).await?;
            for ((run, id), found) in wanted.iter().zip(found) {
                if let Some(found) = found {
                    documents[*run].insert(*id, slot_of(build, &found)?);
                }
            }
        }
        Ok(())
    }
}

/// The question that an index answers for `Targets::Where`.
pub(super) fn audience_query(
    (field, id): Audience,
    lanes: impl Iterator<Item = Lane>,
) -> serde_json::Value {
    let lanes: Vec<u8> = lanes.map(Lane::number).collect();
    json!({"bool": {"filter": [{"term": {field: id}}, {"terms": {"lane": lanes}}]}})
}

/// A document as it was found.
pub(super) fn slot_of(build: BuildId, found: &Found) -> Result<Slot, SinkError> {
    let document = build.view.parse(&found.source);
    Ok(Slot {
        document: Some(document.map_err(SinkError::Stored)?),
        bytes: found.source.get().len(),
        ..Slot::default()
    })
}
