//! Making a document again from its subject's events: one that somebody deleted or changed by hand.
//!
//! The event table has all of them, so what was done to the index by hand is undone by the next
//! event of the document, and no event is taken for poison because of it.

use schemas::lane::{Lane, Seq};
use schemas::view::{Document, View};
use uuid::Uuid;

use super::workbench::{WorkError, Workbench};
use crate::fill::read_subject;
use crate::metrics;
use crate::project::{Content, LogEntry, Slot, Working, fold_broadcast, fold_events};

impl Workbench {
    /// The document as all events of its lane before this seq make it; none where they make none.
    pub(super) async fn restore(
        &self,
        lane: Lane,
        id: Uuid,
        before: Seq,
    ) -> Result<Slot, WorkError> {
        let entries = read_subject(&self.pool, lane, id, before).await?;
        let document = fold_subject(self.view(), id, &entries);
        if document.is_some() {
            tracing::warn!(
                build = %self.target.build,
                document.id = %id,
                "a document was made again from its events"
            );
            metrics::document_restored(self.view());
        }
        Ok(Slot {
            document,
            restored: true,
            ..Slot::default()
        })
    }
}

/// Folds a subject's events with the broadcasts of its lane into one document, up to the first
/// event that cannot be folded.
fn fold_subject(view: View, id: Uuid, entries: &[LogEntry]) -> Option<Document> {
    let none_whole = std::collections::BTreeSet::new();
    let mut working = Working::new();
    for entry in entries {
        let Content::Event(envelope) = &entry.content else {
            break;
        };
        let stopped = if envelope.subject.is_some() {
            let fold = fold_events(view, std::iter::once(entry), &mut working, &none_whole);
            fold.entries == 0
        } else {
            let slot = working.get_mut(&id);
            let slot = slot.filter(|slot| slot.document.is_some());
            slot.is_some_and(|slot| fold_broadcast(view, envelope, slot).is_err())
        };
        if stopped {
            break;
        }
    }
    working.remove(&id)?.document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::samples::{LAMP, created, price, renamed};

    #[test]
    fn a_document_is_made_again_of_its_events_and_the_broadcasts_that_concern_it() {
        let entries = [
            renamed(1, "Early"),
            created(2),
            renamed(3, "Lamps"),
            price(5, 7),
        ];
        let document = fold_subject(View::Products, LAMP, &entries);
        let Some(Document::Product(product)) = document else {
            panic!("no product: {document:?}");
        };
        assert_eq!((product.seq, product.price.amount), (5, 7));
        assert_eq!(product.categories[0].name, "Lamps");
    }

    #[test]
    fn a_subject_that_was_never_made_has_no_document() {
        let document = fold_subject(View::Products, LAMP, &[price(5, 7), created(6)]);
        assert_eq!(document, None);
    }
}
