//! The documents of one lane beside the fold of its events. Pure.
//!
//! A document is compared when the fold comes to the seq that it was found with, its version here; what
//! came after that is left alone, unless it was said to be visible already.

use std::collections::HashMap;

use schemas::{
    event::Envelope,
    lane::{Lane, Seq},
    view::{Document, Targets, View},
};
use serde_json::Value;
use uuid::Uuid;

use super::Difference;

/// Takes in the events of a lane, in their order.
#[derive(Debug)]
pub struct LaneCheck {
    view: View,
    lane: Lane,
    /// What was said to be visible before the documents were looked at.
    visible: Seq,
    /// Not compared yet.
    stored: HashMap<Uuid, Document>,
    /// The versions at which they were found.
    versions: HashMap<Uuid, Seq>,
    folded: HashMap<Uuid, Folded>,
}

#[derive(Debug, Default)]
struct Folded {
    /// None where an event could not be folded.
    document: Option<Document>,
    /// Its last event that was said to be visible.
    due: Seq,
}

impl LaneCheck {
    pub fn new(view: View, lane: Lane, visible: Seq, stored: HashMap<Uuid, Document>) -> Self {
        let versions = stored.iter().map(|(id, stored)| (*id, stored.seq()));
        Self {
            view,
            lane,
            visible,
            versions: versions.collect(),
            stored,
            folded: HashMap::new(),
        }
    }

    /// Folds the next event, and compares the documents that it brings to where they were found.
    pub fn take(&mut self, envelope: &Envelope, tell: &mut impl FnMut(Difference)) {
        let ids = match self.view.targets(&envelope.event) {
            Targets::None => return,
            Targets::These(ids) => ids,
            Targets::Where { field, id } => self.having(field, id),
        };
        for id in ids {
            let folded = self.folded.remove(&id);
            let after = self.after(folded, id, envelope, tell);
            if let Some(document) = &after.document {
                self.compare(id, document, tell);
            }
            self.folded.insert(id, after);
        }
    }

    /// Tells what was never reached, and what should have been.
    pub fn finish(self, tell: &mut impl FnMut(Difference)) {
        for (id, stored) in &self.stored {
            let what = format!("is at version {}, which no event gives it", stored.seq());
            tell(self.difference(*id, what));
        }
        for (id, folded) in self.folded.iter().filter(|(_, folded)| folded.due > 0) {
            match self.versions.get(id) {
                None => {
                    let what = format!("is missing, though event {} is visible", folded.due);
                    tell(self.difference(*id, what));
                }
                Some(version) if *version < folded.due => {
                    let due = folded.due;
                    let what = format!("is at version {version}, though event {due} is visible");
                    tell(self.difference(*id, what));
                }
                Some(_) => {}
            }
        }
    }

    fn having(&self, field: &str, id: Uuid) -> Vec<Uuid> {
        let folded = self.folded.iter();
        let having = folded.filter(|(_, folded)| {
            let document = folded.document.as_ref();
            document.is_some_and(|document| document.has(field, id))
        });
        having.map(|(id, _)| *id).collect()
    }

    fn after(
        &self,
        before: Option<Folded>,
        id: Uuid,
        envelope: &Envelope,
        tell: &mut impl FnMut(Difference),
    ) -> Folded {
        let is_first = before.is_none();
        let before = before.unwrap_or_default();
        if !is_first && before.document.is_none() {
            return before;
        }
        let due = if envelope.seq <= self.visible {
            envelope.seq
        } else {
            before.due
        };
        match self.view.fold(before.document, envelope) {
            Ok(document) => Folded {
                document: Some(document),
                due,
            },
            Err(error) => {
                let what = format!("cannot take event {}: {error}", envelope.seq);
                tell(self.difference(id, what));
                Folded {
                    document: None,
                    due: before.due,
                }
            }
        }
    }

    fn compare(&mut self, id: Uuid, folded: &Document, tell: &mut impl FnMut(Difference)) {
        let is_reached = |stored: &Document| stored.seq() == folded.seq();
        if !self.stored.get(&id).is_some_and(is_reached) {
            return;
        }
        let stored = self.stored.remove(&id).expect("it was looked at above");
        if stored != *folded {
            let members = different_members(&stored, folded).join(", ");
            let what = format!("differs at version {} in {members}", stored.seq());
            tell(self.difference(id, what));
        }
    }

    fn difference(&self, id: Uuid, what: String) -> Difference {
        Difference {
            part: self.view.name().to_owned(),
            of: format!("{id} (lane {})", self.lane),
            what,
        }
    }
}

fn different_members(one: &Document, other: &Document) -> Vec<String> {
    let members = |document: &Document| match serde_json::to_value(document) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let (one, other) = (members(one), members(other));
    let names = one
        .keys()
        .chain(other.keys().filter(|name| !one.contains_key(*name)));
    let different = names.filter(|name| one.get(*name) != other.get(*name));
    different.cloned().collect()
}

#[cfg(test)]
mod tests;
