//! Folding a dense run of a lane's events into the documents that they change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use schemas::event::Envelope;
use schemas::lane::Seq;
use schemas::view::{Document, Targets, View};
use schemas::watermark::subject_hash;
use uuid::Uuid;

use super::{Content, LogEntry, Stopped};

/// A document in hand: as it was found, or as it was made of that.
#[derive(Debug, Default)]
pub struct Slot {
    /// None before its first event.
    pub document: Option<Document>,
    /// Acknowledged by Elasticsearch to this process. One that was only found may not be on every
    /// copy yet.
    pub confirmed: bool,
    /// The first event folded in since it was taken in hand.
    pub first: Option<(Seq, Uuid)>,
    /// To be written once more as found, before a watermark covers it.
    pub rewrite: bool,
    /// Made again from its events, because what is stored was lost or cannot be read.
    pub restored: bool,
    /// Its length as JSON when it was taken in hand.
    pub bytes: usize,
}

/// The documents in hand, by id.
pub type Working = HashMap<Uuid, Slot>;

/// What a broadcast concerns: all documents of its lane whose field holds the id.
pub type Audience = (&'static str, Uuid);

/// Where a run came to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// All of it is folded.
    End,
    /// Before a broadcast whose audience is not in hand.
    Barrier(Audience),
    /// Before an event that cannot be folded.
    Stopped(Stopped),
}

/// What was folded.
#[derive(Debug, PartialEq, Eq)]
pub struct Fold {
    /// How many entries of the run.
    pub entries: usize,
    pub stand: Stand,
    /// Hashes of the subjects whose documents changed.
    pub changed: Vec<u32>,
}

/// The ids of the documents that a run names, up to its first barrier.
pub fn targets_of<'a>(
    view: View,
    run: impl Iterator<Item = &'a LogEntry>,
    in_hand: &BTreeSet<Audience>,
) -> impl Iterator<Item = Uuid> {
    run.map_while(move |entry| match &entry.content {
        Content::Event(envelope) => match view.targets(&envelope.event) {
            Targets::These(ids) => Some(ids),
            Targets::Where { field, id } if !in_hand.contains(&(field, id)) => None,
            Targets::None | Targets::Where { .. } => Some(Vec::new()),
        },
        _ => None,
    })
    .flatten()
}

/// What the broadcasts of a run concern.
pub fn audiences_of<'a>(
    view: View,
    run: impl Iterator<Item = &'a LogEntry>,
) -> impl Iterator<Item = Audience> {
    run.filter_map(move |entry| match &entry.content {
        Content::Event(envelope) => match view.targets(&envelope.event) {
            Targets::Where { field, id } => Some((field, id)),
            Targets::None | Targets::These(_) => None,
        },
        _ => None,
    })
}

/// Folds a run of one lane into the documents that it names, which are all in hand, up to a
/// barrier or an event that cannot be folded. The audiences in `in_hand` are there whole.
pub fn fold_events<'a>(
    view: View,
    run: impl Iterator<Item = &'a LogEntry>,
    working: &mut Working,
    in_hand: &BTreeSet<Audience>,
) -> Fold {
    let mut fold = Fold {
        entries: 0,
        stand: Stand::End,
        changed: Vec::new(),
    };
    for entry in run {
        let stand = match &entry.content {
            Content::Event(envelope) => {
                fold_one(view, envelope, working, in_hand, &mut fold.changed)
            }
            _ => Stand::Stopped(stopped_at(entry)),
        };
        if stand != Stand::End {
            fold.stand = stand;
            break;
        }
        fold.entries += 1;
    }
    fold
}

/// Folds a broadcast into one document that matches it. True when that changed it.
pub fn fold_broadcast(view: View, envelope: &Envelope, slot: &mut Slot) -> Result<bool, Stopped> {
    fold_into(view, envelope, slot)
}

fn fold_one(
    view: View,
    envelope: &Arc<Envelope>,
    working: &mut Working,
    in_hand: &BTreeSet<Audience>,
    changed: &mut Vec<u32>,
) -> Stand {
    let ids = match view.targets(&envelope.event) {
        Targets::None => return Stand::End,
        Targets::These(ids) => ids,
        Targets::Where { field, id } if in_hand.contains(&(field, id)) => {
            audience(working, field, id)
        }
        Targets::Where { field, id } => return Stand::Barrier((field, id)),
    };
    for id in ids {
        match fold_into(view, envelope, working.entry(id).or_default()) {
            Ok(true) => changed.push(subject_hash(envelope.subject.unwrap_or(id))),
            Ok(false) => {}
            Err(stopped) => return Stand::Stopped(stopped),
        }
    }
    Stand::End
}

fn audience(working: &Working, field: &str, id: Uuid) -> Vec<Uuid> {
    let has = |slot: &Slot| slot.document.as_ref().is_some_and(|d| d.has(field, id));
    let members = working.iter().filter(|(_, slot)| has(slot));
    members.map(|(id, _)| *id).collect()
}

fn fold_into(view: View, envelope: &Envelope, slot: &mut Slot) -> Result<bool, Stopped> {
    if slot
        .document
        .as_ref()
        .is_some_and(|document| document.seq() >= envelope.seq)
    {
        slot.rewrite |= !slot.confirmed && slot.first.is_none();
        return Ok(false);
    }
    match view.fold_in_place(&mut slot.document, envelope) {
        Ok(()) => {
            slot.first.get_or_insert((envelope.seq, envelope.event_id));
            Ok(true)
        }
        Err(error) => Err(Stopped::Poison {
            seq: envelope.seq,
            event_id: envelope.event_id,
            reason: error.to_string(),
        }),
    }
}

/// Why a lane stands still before an entry that is no event.
pub fn stopped_at(entry: &LogEntry) -> Stopped {
    let (seq, event_id) = (entry.seq(), entry.event_id);
    match &entry.content {
        Content::Unknown(reason) => Stopped::Unknown {
            seq,
            reason: reason.clone(),
        },
        Content::Malformed(reason) => Stopped::Poison {
            seq,
            event_id,
            reason: reason.clone(),
        },
        Content::Event(_) | Content::AskTable => {
            unreachable!("events are folded, and runs end before what only the table explains")
        }
    }
}

#[cfg(test)]
mod tests;
