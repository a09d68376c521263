//! One subject after the other: its events with the lane's broadcasts merged in by seq.
//!
//! Only one subject's documents are in memory. Each is finished once, when its subject ends.

use std::collections::BTreeSet;

use schemas::lane::Seq;
use schemas::view::{Document, View};
use uuid::Uuid;

use super::broadcasts::Broadcasts;
use crate::project::{LogEntry, Stand, Stopped, Working, fold_events};

/// Folds a lane's events, which come ordered by subject and seq.
#[derive(Debug)]
pub(super) struct Subjects<'a> {
    view: View,
    broadcasts: &'a Broadcasts,
    /// Documents whose subject has ended.
    pub(super) finished: Vec<Finished>,
    /// The first event that cannot be folded, or whose document is refused.
    pub(super) stopped: Option<Stopped>,
    /// Nothing from here on is folded.
    until: Seq,
    subject: Option<Uuid>,
    documents: Working,
    next_broadcast: usize,
}

/// A document, and the first event that it was folded of.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) subject: Uuid,
    pub(super) document: Document,
    pub(super) first: (Seq, Uuid),
}

impl<'a> Subjects<'a> {
    /// Folds what is in (0, head].
    pub(super) fn new(view: View, broadcasts: &'a Broadcasts, head: Seq) -> Self {
        let mut subjects = Self {
            view,
            broadcasts,
            finished: Vec::new(),
            stopped: None,
            until: head + 1,
            subject: None,
            documents: Working::new(),
            next_broadcast: 0,
        };
        if let Some(stopped) = &broadcasts.stopped {
            subjects.stop(stopped.clone());
        }
        subjects
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, entry: &LogEntry, subject: Uuid) {
        if self.subject != Some(subject) {
            self.end_subject();
            self.subject = Some(subject);
            self.next_broadcast = self.broadcasts.after(entry.seq());
        }
        self.merge_broadcasts(entry.seq());
        if entry.seq() < self.until {
            self.fold(entry);
        }
    }

    /// Folds in what is left of the broadcasts, and finishes the subject's documents.
    pub(super) fn end_subject(&mut self) {
        let Some(subject) = self.subject.take() else {
            return;
        };
        self.merge_broadcasts(self.until);
        let finished = self.documents.drain().filter_map(|(_, slot)| {
            Some(Finished {
                subject,
                document: slot.document?,
                first: slot.first?,
            })
        });
        self.finished.extend(finished);
    }

    /// The lane stands still before this event: what comes after it is not folded any more.
    pub(super) fn stop(&mut self, stopped: Stopped) {
        if stopped.seq() < self.until {
            self.until = stopped.seq();
            self.stopped = Some(stopped);
        }
    }

    /// False for events that the lane stands still before.
    pub(super) fn reaches(&self, seq: Seq) -> bool {
        seq < self.until
    }

    /// An event that concerns documents by a field is merged in with the broadcasts.
    fn fold(&mut self, entry: &LogEntry) {
        let none_whole = BTreeSet::new();
        let entry = std::iter::once(entry);
        let fold = fold_events(self.view, entry, &mut self.documents, &none_whole);
        if let Stand::Stopped(stopped) = fold.stand {
            self.stop(stopped);
        }
    }

    fn merge_broadcasts(&mut self, before: Seq) {
        let before = before.min(self.until);
        let next = &mut self.next_broadcast;
        let merged = self
            .broadcasts
            .fold_until(self.view, next, before, &mut self.documents);
        if let Err(stopped) = merged {
            self.stop(stopped);
        }
    }
}

#[cfg(test)]
mod tests;
