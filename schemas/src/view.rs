//! Views: denormalized read models, each a pure fold of the events of one lane.
//!
//! The projector folds them, query-svc folds them again for catch-up reads; both get the same
//! document. A document at version s is the fold of its lane's events that target it, up to s.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::{Envelope, Event};
use crate::lane::{Lane, Seq};

pub mod category;
pub mod product;

pub use category::CategoryDocument;
pub use product::ProductDocument;

/// Which documents of its lane an event changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    None,
    These(Vec<Uuid>),
    /// All documents of the lane whose `field` holds `id`.
    Where {
        field: &'static str,
        id: Uuid,
    },
}

/// The views that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    Products,
    Categories,
}

/// The event cannot be folded into this document, now or ever: poison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error("{event} needs a document, and there is none")]
    NoDocument { event: &'static str },
    #[error("{event} makes a document that is there already")]
    AlreadyThere { event: &'static str },
    #[error("{event} does not concern this document")]
    NotTargeted { event: &'static str },
}

/// A document of any view.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Document {
    Product(Box<ProductDocument>),
    Category(CategoryDocument),
}

impl View {
    pub const ALL: [Self; 2] = [Self::Products, Self::Categories];

    /// The name in keys, indexes, metrics and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Categories => "categories",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    /// Projection version: raised when mapping or fold change, so that a new build is made.
    pub fn version(self) -> u32 {
        match self {
            Self::Products => product::VERSION,
            Self::Categories => category::VERSION,
        }
    }

    pub fn targets(self, event: &Event) -> Targets {
        match self {
            Self::Products => product::targets(event),
            Self::Categories => category::targets(event),
        }
    }

    /// Types of events that have a subject and yet concern documents by a field: those of other
    /// subjects of their lane too. A fill, which folds subject by subject, reads them first.
    pub fn lane_wide_types(self) -> &'static [&'static str] {
        match self {
            Self::Products | Self::Categories => &[],
        }
    }

    /// The document after the event, with its lane and seq. `document` is None before its first.
    ///
    /// An event at or below the document's seq, and a broadcast that does not concern it, change
    /// nothing: so folding all events of a lane gives what folding those that target the document
    /// gives, however often they come.
    pub fn fold(
        self,
        document: Option<Document>,
        envelope: &Envelope,
    ) -> Result<Document, FoldError> {
        let mut document = document;
        self.fold_in_place(&mut document, envelope)?;
        Ok(document.expect("what was folded into is there"))
    }

    /// The same in place. An error leaves the document as it was.
    pub fn fold_in_place(
        self,
        document: &mut Option<Document>,
        envelope: &Envelope,
    ) -> Result<(), FoldError> {
        let Some(document) = document else {
            let made = match self {
                Self::Products => product::fold(None, envelope).map(Document::from),
                Self::Categories => category::fold(None, envelope).map(Document::from),
            };
            *document = Some(made?);
            return Ok(());
        };
        if self.changes(document, envelope)? {
            match document {
                Document::Product(document) => document.fold(envelope)?,
                Document::Category(document) => document.fold(envelope)?,
            }
        }
        Ok(())
    }

    fn changes(self, document: &Document, envelope: &Envelope) -> Result<bool, FoldError> {
        let targeted = match self.targets(&envelope.event) {
            _ if document.lane() != envelope.lane => None,
            Targets::None => None,
            Targets::These(ids) => ids.contains(&document.id()).then_some(true),
            Targets::Where { field, id } => Some(document.has(field, id)),
        };
        let event = envelope.event.type_name();
        let targeted = targeted.ok_or(FoldError::NotTargeted { event })?;
        Ok(targeted && envelope.seq > document.seq())
    }

    /// Reads a stored document back.
    pub fn parse(self, source: &RawValue) -> Result<Document, serde_json::Error> {
        match self {
            Self::Products => {
                serde_json::from_str::<ProductDocument>(source.get()).map(Document::from)
            }
            Self::Categories => {
                serde_json::from_str::<CategoryDocument>(source.get()).map(Document::from)
            }
        }
    }
}

impl Document {
    pub fn id(&self) -> Uuid {
        match self {
            Self::Product(document) => document.product_id.0,
            Self::Category(document) => document.category_id.0,
        }
    }

    pub fn lane(&self) -> Lane {
        match self {
            Self::Product(document) => document.lane,
            Self::Category(document) => document.lane,
        }
    }

    /// Its version: the seq of the last event folded in.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Product(document) => document.seq,
            Self::Category(document) => document.seq,
        }
    }

    /// Stream version of the resource, the first number of its ETag.
    pub fn stream_version(&self) -> u64 {
        match self {
            Self::Product(document) => document.stream_version,
            Self::Category(document) => document.stream_version,
        }
    }

    /// True when the document matches `Where { field, id }`: the same question that the index
    /// answers, asked of one document.
    pub fn has(&self, field: &str, id: Uuid) -> bool {
        match self {
            Self::Product(document) => document.has(field, id),
            Self::Category(document) => document.has(field, id),
        }
    }

    /// Every field and id for which `has` is true.
    pub fn references(&self) -> impl Iterator<Item = (&'static str, Uuid)> {
        let (field, ids) = match self {
            Self::Product(document) => (product::CATEGORY_IDS, &document.category_ids),
            Self::Category(document) => (category::PATH_IDS, &document.path_ids),
        };
        ids.iter().map(move |id| (field, id.0))
    }
}

impl From<ProductDocument> for Document {
    fn from(document: ProductDocument) -> Self {
        Self::Product(Box::new(document))
    }
}

impl From<CategoryDocument> for Document {
    fn from(document: CategoryDocument) -> Self {
        Self::Category(document)
    }
}

#[cfg(test)]
mod given;
#[cfg(test)]
mod tests;
