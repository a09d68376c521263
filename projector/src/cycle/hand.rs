//! Taking documents in hand before a segment is folded: those that events name, and those that
//! broadcasts concern, where they are few.
//!
//! Documents are read up to a bound of bytes. Events that need more of them are left to the next
//! segment: of each run what comes before is folded and written first.
//!
//! A broadcast whose audience is in hand is an event like any other: many of them, and what is
//! between, cost one refresh and one write of each document. One with a larger audience is a
//! barrier.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schemas::lane::{Lane, Seq};
use schemas::view::{Document, Targets, View};
use serde_json::json;
use uuid::Uuid;

use super::run::LaneRun;
use super::workbench::{WorkError, Workbench, in_hand};
use crate::config::{MAX_AUDIENCE, MAX_READ_BYTES};
use crate::metrics;
use crate::project::{Audience, Content, Slot, Working, audiences_of, targets_of};
use crate::sink::Found;

mod read;

/// Documents in hand, for each run.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) documents: Vec<Working>,
    /// Audiences that are in hand whole.
    pub(super) audiences: BTreeSet<Audience>,
    /// Bytes that may still be read.
    room: usize,
}

/// Audiences that were found to be large.
pub(super) type Large = BTreeSet<Audience>;

/// A document that an event names: which run, and which id.
type Named = (usize, Uuid);

impl Workbench {
    /// All that the runs need up to their end, or to their first broadcast with a large audience.
    /// Where that is too much, runs end earlier; at least one of them moves on.
    pub(super) async fn take_in_hand(
        &mut self,
        runs: &mut [LaneRun],
        large: &mut Large,
    ) -> Result<Held, WorkError> {
        let mut held = Held {
            documents: runs.iter().map(|_| Working::new()).collect(),
            audiences: BTreeSet::new(),
            room: MAX_READ_BYTES,
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
    ) -> Result<(), WorkError> {
        let mut asked: BTreeMap<Audience, BTreeMap<Lane, usize>> = BTreeMap::new();
        for (index, run) in runs.iter().enumerate() {
            let audiences = audiences_of(self.view(), run.rest().iter());
            for audience in audiences.take_while(|audience| !large.contains(audience)) {
                asked.entry(audience).or_default().insert(run.lane(), index);
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        self.refreshes.drain().await?;
        let mut room = MAX_AUDIENCE;
        for (audience, lanes) in asked {
            let query = audience_query(audience, lanes.keys().copied());
            let is_first = room == MAX_AUDIENCE && held.room == MAX_READ_BYTES;
            let ids = self.sink.few(&self.target.index, &query, room).await?;
            let found = match ids {
                Some(ids) => self.read_all(&ids, held).await?,
                None => None,
            };
            let Some(found) = found else {
                // One that is only too large for what room is left may fit next time.
                if is_first {
                    large.insert(audience);
                }
                continue;
            };
            room -= found.len();
            let of_runs = (runs, &lanes);
            self.take_audience(audience, found, of_runs, held).await?;
        }
        Ok(())
    }

    /// What was found, or the newer copies that the cache has, and what only the cache has.
    async fn take_audience(
        &mut self,
        (field, id): Audience,
        found: Vec<Found>,
        (runs, lanes): (&[LaneRun], &BTreeMap<Lane, usize>),
        held: &mut Held,
    ) -> Result<(), WorkError> {
        let next = |lane: Lane| runs[*lanes.get(&lane)?].next_seq();
        for found in found {
            let slot = self.adopt(&found, next).await?;
            let document = slot.document.as_ref();
            let Some((id, run)) = document.and_then(|d| Some((d.id(), *lanes.get(&d.lane())?)))
            else {
                continue;
            };
            let cached = self.cache.take(id).map(in_hand);
            held.documents[run]
                .entry(id)
                .or_insert(cached.unwrap_or(slot));
        }
        let only_cached = self
            .cache
            .ids(|document| lanes.contains_key(&document.lane()) && document.has(field, id));
        for cached in only_cached.into_iter().filter_map(|id| self.cache.take(id)) {
            let run = lanes[&cached.document.lane()];
            held.documents[run].insert(cached.document.id(), in_hand(cached));
        }
        held.audiences.insert((field, id));
        Ok(())
    }

    /// The documents that events name, from the cache or as they were last written.
    async fn take_targets(
        &mut self,
        runs: &mut [LaneRun],
        held: &mut Held,
    ) -> Result<(), WorkError> {
        let mut missing: Vec<Named> = Vec::new();
        let mut taken = 0;
        for (index, run) in runs.iter().enumerate() {
            for id in targets_of(self.view(), run.rest().iter(), &held.audiences) {
                let cache = &mut self.cache;
                held.documents[index].entry(id).or_insert_with(|| {
                    let cached = cache.take(id);
                    match &cached {
                        Some(_) => taken += 1,
                        None => missing.push((index, id)),
                    }
                    cached.map(in_hand).unwrap_or_default()
                });
            }
        }
        let read = self.read_missing(runs, &missing, held).await?;
        let unread = missing.split_off(read);
        metrics::documents_in_hand(taken, read);
        for (run, id) in &unread {
            held.documents[*run].remove(id);
        }
        leave_for_later(self.view(), runs, &unread);
        self.restore_vanished(runs, missing, held).await
    }

    /// Documents that are not there although the first event in the run needs one.
    async fn restore_vanished(
        &self,
        runs: &[LaneRun],
        missing: Vec<Named>,
        held: &mut Held,
    ) -> Result<(), WorkError> {
        let mut of_runs: BTreeMap<usize, HashSet<Uuid>> = BTreeMap::new();
        for (run, id) in missing {
            if held.documents[run][&id].document.is_none() {
                of_runs.entry(run).or_default().insert(id);
            }
        }
        for (run, ids) in of_runs {
            let Some(before) = runs[run].next_seq() else {
                continue;
            };
            for id in self.vanished(&runs[run], ids) {
                let slot = self.restore(runs[run].lane(), id, before).await?;
                held.documents[run].insert(id, slot);
            }
        }
        Ok(())
    }

    /// Those of these ids whose first event in the run does not make a document.
    fn vanished(&self, run: &LaneRun, mut ids: HashSet<Uuid>) -> Vec<Uuid> {
        let mut vanished = Vec::new();
        for entry in run.rest() {
            let Content::Event(envelope) = &entry.content else {
                break;
            };
            if ids.is_empty() {
                break;
            }
            let Targets::These(targets) = self.view().targets(&envelope.event) else {
                continue;
            };
            let firsts = targets.into_iter().filter(|id| ids.remove(id));
            let needing = firsts.filter(|_| self.view().fold(None, envelope).is_err());
            vanished.extend(needing);
        }
        vanished
    }

    /// A document as it was found. One that cannot be read is made again from its events, up to
    /// the next event of its lane.
    pub(super) async fn adopt(
        &self,
        found: &Found,
        next: impl Fn(Lane) -> Option<Seq>,
    ) -> Result<Slot, WorkError> {
        let error = match self.view().parse(&found.source) {
            Ok(document) => {
                return Ok(Slot {
                    document: Some(document),
                    bytes: found.source.get().len(),
                    ..Slot::default()
                });
            }
            Err(error) => error,
        };
        tracing::warn!(
            build = %self.target.build,
            document.id = found.id,
            %error,
            "failed to parse a stored document"
        );
        let Ok(id) = found.id.parse::<Uuid>() else {
            return Ok(Slot::default());
        };
        let lane = Lane::of(id);
        match next(lane) {
            Some(before) => self.restore(lane, id, before).await,
            None => Ok(Slot::default()),
        }
    }
}

/// Ends each run before its first event that names one of these documents.
fn leave_for_later(view: View, runs: &mut [LaneRun], unread: &[Named]) {
    if unread.is_empty() {
        return;
    }
    let ids: HashSet<Uuid> = unread.iter().map(|(_, id)| *id).collect();
    for run in runs {
        run.end_before(|entry| {
            let Content::Event(envelope) = &entry.content else {
                return false;
            };
            let targets = view.targets(&envelope.event);
            matches!(targets, Targets::These(named) if named.iter().any(|id| ids.contains(id)))
        });
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

/// Id and lane of a document in hand.
pub(super) fn place_of(slot: &Slot) -> Option<(Uuid, Lane)> {
    let document: &Document = slot.document.as_ref()?;
    Some((document.id(), document.lane()))
}
