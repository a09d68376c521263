//! One subject after the other: its events with the lane's broadcasts merged in by seq.
//!
//! Only one subject's documents are in memory. Each is written once, when its subject ends.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::broadcasts::Broadcasts;
use crate::project::{LogEntry, Stand, Stopped, Working, fold_events};
use crate::sink::{Bulk, Target, Versioning};

/// Folds a lane's events, which come ordered by subject and seq.
#[derive(Debug)]
pub(super) struct Subjects<'a> {
    target: &'a Target,
    broadcasts: Broadcasts,
    /// Finished documents.
    pub(super) bulk: Bulk,
    /// The first event that cannot be folded.
    pub(super) stopped: Option<Stopped>,
    subject: Option<Uuid>,
    documents: Working,
    next_broadcast: usize,
    /// The subject cannot be folded any further.
    held: bool,
}

impl<'a> Subjects<'a> {
    pub(super) fn new(target: &'a Target, mut broadcasts: Broadcasts) -> Self {
        Self {
            target,
            stopped: broadcasts.stopped.take(),
            broadcasts,
            bulk: Bulk::default(),
            subject: None,
            documents: Working::new(),
            next_broadcast: 0,
            held: false,
        }
    }

    /// Takes the next event, and answers where it stands in the order of reading.
    pub(super) fn take(&mut self, entry: &LogEntry, subject: Uuid) -> (Uuid, i64) {
        if self.subject != Some(subject) {
            self.end_subject();
            self.subject = Some(subject);
            self.next_broadcast = self.broadcasts.after(entry.seq());
        }
        if !self.held {
            self.fold(entry);
        }
        (subject, entry.seq().cast_signed())
    }

    /// Folds in what is left of the broadcasts, and hands the subject's documents on.
    pub(super) fn end_subject(&mut self) {
        if !self.held {
            self.merge_broadcasts(u64::MAX);
        }
        for (_, slot) in self.documents.drain() {
            let Some((document, first)) = slot.document.as_ref().zip(slot.first) else {
                continue;
            };
            self.bulk
                .push(self.target, document, first, Versioning::ExternalGte);
        }
        self.subject = None;
        self.held = false;
    }

    fn fold(&mut self, entry: &LogEntry) {
        self.merge_broadcasts(entry.seq());
        if self.held {
            return;
        }
        let view = self.target.build.view;
        let none_whole = BTreeSet::new();
        let entry = std::iter::once(entry);
        let fold = fold_events(view, entry, &mut self.documents, &none_whole);
        if let Stand::Stopped(stopped) = fold.stand {
            self.hold(stopped);
        }
    }

    fn merge_broadcasts(&mut self, before: u64) {
        let view = self.target.build.view;
        let merged =
            self.broadcasts
                .fold_until(view, &mut self.next_broadcast, before, &mut self.documents);
        if let Err(stopped) = merged {
            self.hold(stopped);
        }
    }

    fn hold(&mut self, stopped: Stopped) {
        self.held = true;
        if self
            .stopped
            .as_ref()
            .is_none_or(|earlier| stopped.seq() < earlier.seq())
        {
            self.stopped = Some(stopped);
        }
    }
}

#[cfg(test)]
mod tests;
