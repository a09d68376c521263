//! Making a document again from its subject's events: one that somebody deleted or changed by hand.
//!
//! The event table has all of them, so what was done to the index by hand is undone by the next
//! event of the document, and no event is taken for poison because of it.

use std::collections::BTreeSet;

use schemas::lane::{Lane, Seq};
use schemas::view::{Targets, View};
use uuid::Uuid;

use super::workbench::{WorkError, Workbench};
use crate::fill::SubjectLog;
use crate::metrics;
use crate::project::{Content, LogEntry, Slot, Stand, Working, fold_broadcast, fold_events};

impl Workbench {
    /// The document as all events of its lane before this seq make it; none where they make none.
    pub(super) async fn restore(
        &self,
        lane: Lane,
        id: Uuid,
        before: Seq,
    ) -> Result<Slot, WorkError> {
        let view = self.view();
        let mut log = SubjectLog::new(&self.pool, view, (lane, id), before);
        let mut working = Working::new();
        while let Some(entries) = log.next().await? {
            if !fold_subject(view, id, &entries, &mut working) {
                break;
            }
        }
        let document = working.remove(&id).and_then(|slot| slot.document);
        if document.is_some() {
            tracing::warn!(
                build = %self.target.build,
                document.id = %id,
                "rebuilt a document from its events"
            );
            metrics::document_restored(view);
        }
        Ok(Slot {
            document,
            restored: true,
            ..Slot::default()
        })
    }
}

/// Folds a subject's events with those of its lane that concern its document. False from the first
/// event on that cannot be folded.
fn fold_subject(view: View, id: Uuid, entries: &[LogEntry], working: &mut Working) -> bool {
    let none_whole = BTreeSet::new();
    entries.iter().all(|entry| {
        let Content::Event(envelope) = &entry.content else {
            return false;
        };
        let is_by_field = matches!(view.targets(&envelope.event), Targets::Where { .. });
        if envelope.subject.is_some() && !is_by_field {
            let fold = fold_events(view, std::iter::once(entry), working, &none_whole);
            return fold.stand == Stand::End;
        }
        let slot = working.get_mut(&id);
        let slot = slot.filter(|slot| slot.document.is_some());
        slot.is_none_or(|slot| fold_broadcast(view, envelope, slot).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use schemas::view::Document;

    use super::*;
    use crate::project::samples::{LAMP, created, price, renamed};

    fn restored(entries: &[LogEntry]) -> Option<Document> {
        let mut working = Working::new();
        fold_subject(View::Products, LAMP, entries, &mut working);
        working.remove(&LAMP)?.document
    }

    #[test]
    fn a_document_is_made_again_of_its_events_and_the_broadcasts_that_concern_it() {
        let entries = [
            renamed(1, "Early"),
            created(2),
            renamed(3, "Lamps"),
            price(5, 7),
        ];
        let document = restored(&entries);
        let Some(Document::Products(product)) = document else {
            panic!("no product: {document:?}");
        };
        assert_eq!((product.seq, product.price.amount), (5, 7));
        assert_eq!(product.categories[0].name, "Lamps");
    }

    #[test]
    fn a_subject_that_was_never_made_has_no_document() {
        let document = restored(&[price(5, 7), created(6)]);
        assert_eq!(document, None);
    }
}
