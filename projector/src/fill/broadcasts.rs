//! The events of one lane that concern documents of many subjects, held in memory while its
//! subjects are read one by one: broadcasts, and a subject's own that concern documents by a field.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::Pool;
use schemas::event::Envelope;
use schemas::lane::{Lane, Seq};
use schemas::view::{Document, Targets, View};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::{Rows, read_rows};
use super::subject_pages::PAGE;
use crate::config::MAX_BROADCAST_BYTES;
use crate::event_table::{TableError, entry_of};
use crate::project::{Audience, Content, LogEntry, Stopped, Working, fold_broadcast, stopped_at};

/// Those of a lane that concern a view, in order, found by what they concern.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    events: Vec<Arc<Envelope>>,
    of_references: HashMap<Audience, Vec<usize>>,
    of_documents: HashMap<Uuid, Vec<usize>>,
    bytes: usize,
    /// The first one that cannot be read: nothing after it may be folded.
    pub(super) stopped: Option<Stopped>,
}

impl Broadcasts {
    pub(super) fn are_too_many(&self) -> bool {
        self.bytes > MAX_BROADCAST_BYTES
    }

    /// Adds an event where it concerns more than its own subject. False where nothing after it
    /// needs to be known.
    pub(super) fn push(&mut self, view: View, entry: &LogEntry) -> bool {
        let Content::Event(envelope) = &entry.content else {
            self.stopped = Some(stopped_at(entry));
            return false;
        };
        let place = self.events.len();
        match view.targets(&envelope.event) {
            Targets::Where { field, id } => {
                self.of_references
                    .entry((field, id))
                    .or_default()
                    .push(place);
            }
            Targets::These(ids) if envelope.subject.is_none() => {
                for id in ids {
                    self.of_documents.entry(id).or_default().push(place);
                }
            }
            Targets::None | Targets::These(_) => return true,
        }
        self.events.push(Arc::clone(envelope));
        self.bytes += entry.bytes;
        !self.are_too_many()
    }

    /// Where those begin that come after `seq`.
    pub(super) fn after(&self, seq: Seq) -> usize {
        self.events.partition_point(|envelope| envelope.seq <= seq)
    }

    /// Folds those from `*next` on that come before `seq` into the documents in memory.
    pub(super) fn fold_until(
        &self,
        view: View,
        next: &mut usize,
        seq: Seq,
        working: &mut Working,
    ) -> Result<(), Stopped> {
        let end = self.events.partition_point(|envelope| envelope.seq < seq);
        while let Some(place) = self.next_concerning(working, *next).filter(|at| *at < end) {
            *next = place + 1;
            let envelope = &self.events[place];
            let targets = view.targets(&envelope.event);
            for slot in working.values_mut() {
                let document = slot.document.as_ref();
                if document.is_some_and(|document| concerns(&targets, document)) {
                    fold_broadcast(view, envelope, slot)?;
                }
            }
        }
        *next = end.max(*next);
        Ok(())
    }

    /// The first one from `from` on that concerns any of the documents as they are now.
    fn next_concerning(&self, working: &Working, from: usize) -> Option<usize> {
        if from >= self.events.len() {
            return None;
        }
        let documents = working.values().filter_map(|slot| slot.document.as_ref());
        let places = documents.flat_map(|document| {
            let references = document.references().into_iter();
            let by_field = references.filter_map(|reference| self.of_references.get(&reference));
            by_field.chain(self.of_documents.get(&document.id()))
        });
        places
            .filter_map(|places| places.get(places.partition_point(|at| *at < from)))
            .min()
            .copied()
    }
}

fn concerns(targets: &Targets, document: &Document) -> bool {
    match targets {
        Targets::None => false,
        Targets::These(ids) => ids.contains(&document.id()),
        Targets::Where { field, id } => document.has(field, *id),
    }
}

/// Reads one page of those of the lane in (after, head].
pub(super) async fn read_broadcasts(
    pool: &Pool,
    view: View,
    lane: Lane,
    (after, head): (Seq, Seq),
) -> Result<Rows<LogEntry>, TableError> {
    let lane = i16::from(lane.number());
    let (after, head) = (after.cast_signed(), head.cast_signed());
    let lane_wide = view.lane_wide_types();
    let rows = i64::try_from(PAGE.rows).expect("a page is small");
    let parameters: [&(dyn ToSql + Sync); 5] = [&lane, &after, &head, &lane_wide, &rows];
    let sql = include_str!("sql/broadcasts.sql");
    read_rows(pool, sql, &parameters, PAGE, entry_of).await
}
