//! Views: denormalized read models, each a pure fold of the events of one lane.
//!
//! The projector folds them, query-svc folds them again for catch-up reads; both get the same
//! document. A document at version s is the fold of its lane's events that target it, up to s.
//! `views!` below is the table of all views: what is done for every view iterates over it.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::event::{Envelope, Event};
use crate::lane::{Lane, Seq};

pub mod categories;
pub mod products;

pub use categories::CategoryDocument;
pub use products::ProductDocument;

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

/// What a view is: its document, and how events become it.
pub trait ViewDocument: Debug + Clone + PartialEq + Serialize + DeserializeOwned {
    /// Projection version: raised when mapping or fold change, so that a new build is made.
    const VERSION: u32;

    /// Types of events that have a subject and yet target `Where`: documents of other subjects of
    /// their lane too. A fill, which folds subject by subject, reads them first.
    const LANE_WIDE_TYPES: &'static [&'static str] = &[];

    fn targets(event: &Event) -> Targets;

    /// The document after the first event of its id.
    fn create(envelope: &Envelope) -> Result<Self, FoldError>;

    /// Folds an event in that concerns the document. An error leaves the document as it was.
    fn fold(&mut self, envelope: &Envelope) -> Result<(), FoldError>;

    fn id(&self) -> Uuid;

    fn lane(&self) -> Lane;

    /// Its version: the seq of the last event folded in.
    fn seq(&self) -> Seq;

    /// Stream version of the resource, the first number of its ETag.
    fn stream_version(&self) -> u64;

    /// Every `field` and `id` of `Where` by which the index finds this document.
    fn references(&self) -> impl Iterator<Item = (&'static str, Uuid)>;

    /// True when the document matches `Where { field, id }`: the same question that the index
    /// answers, asked of one document.
    fn has(&self, field: &str, id: Uuid) -> bool {
        self.references()
            .any(|(of, referred)| referred == id && of == field)
    }
}

macro_rules! views {
    ($($name:ident = $wire:literal: $document:ty),+ $(,)?) => {
        /// The views that exist.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum View {
            $($name),+
        }

        /// A document of any view.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Document {
            $($name(Box<$document>)),+
        }

        $(impl From<$document> for Document {
            fn from(document: $document) -> Self {
                Self::$name(Box::new(document))
            }
        })+

        impl View {
            pub const ALL: [Self; [$($wire),+].len()] = [$(Self::$name),+];

            /// The name in keys, indexes, metrics and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $wire),+ }
            }

            /// Projection version: raised when mapping or fold change, so that a new build is made.
            pub fn version(self) -> u32 {
                match self { $(Self::$name => <$document>::VERSION),+ }
            }

            /// Settings and mapping of its indexes, as JSON.
            pub fn mapping(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../mappings/", $wire, ".json"))),+
                }
            }

            /// See [`ViewDocument::LANE_WIDE_TYPES`].
            pub fn lane_wide_types(self) -> &'static [&'static str] {
                match self { $(Self::$name => <$document>::LANE_WIDE_TYPES),+ }
            }

            pub fn targets(self, event: &Event) -> Targets {
                match self { $(Self::$name => <$document>::targets(event)),+ }
            }

            /// Reads a stored document back.
            pub fn parse(self, source: &RawValue) -> Result<Document, serde_json::Error> {
                let json = source.get();
                match self {
                    $(Self::$name => serde_json::from_str::<$document>(json).map(Document::from)),+
                }
            }

            fn create(self, envelope: &Envelope) -> Result<Document, FoldError> {
                match self {
                    $(Self::$name => <$document>::create(envelope).map(Document::from)),+
                }
            }
        }

        impl Document {
            pub fn view(&self) -> View {
                match self { $(Self::$name(_) => View::$name),+ }
            }

            pub fn id(&self) -> Uuid {
                match self { $(Self::$name(document) => document.id()),+ }
            }

            pub fn lane(&self) -> Lane {
                match self { $(Self::$name(document) => document.lane()),+ }
            }

            /// Its version: the seq of the last event folded in.
            pub fn seq(&self) -> Seq {
                match self { $(Self::$name(document) => document.seq()),+ }
            }

            /// Stream version of the resource, the first number of its ETag.
            pub fn stream_version(&self) -> u64 {
                match self { $(Self::$name(document) => document.stream_version()),+ }
            }

            /// See [`ViewDocument::has`].
            pub fn has(&self, field: &str, id: Uuid) -> bool {
                match self { $(Self::$name(document) => document.has(field, id)),+ }
            }

            /// See [`ViewDocument::references`].
            pub fn references(&self) -> Vec<(&'static str, Uuid)> {
                match self { $(Self::$name(document) => document.references().collect()),+ }
            }

            fn fold(&mut self, envelope: &Envelope) -> Result<(), FoldError> {
                match self { $(Self::$name(document) => document.fold(envelope)),+ }
            }
        }
    };
}

views! {
    Products = "products": ProductDocument,
    Categories = "categories": CategoryDocument,
}

/// The seq of a stored document of any view; none where it was given another shape by hand. Its
/// version in Elasticsearch may be higher: every edit by hand raises that, and no event did.
pub fn stored_seq(source: &RawValue) -> Option<Seq> {
    #[derive(Deserialize)]
    struct Stored {
        seq: Seq,
    }
    let stored: Result<Stored, _> = serde_json::from_str(source.get());
    stored.ok().map(|stored| stored.seq)
}

impl View {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    /// By which an index says what it was made from.
    pub fn mapping_hash(self) -> String {
        let digest = Sha256::digest(self.mapping());
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
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
            *document = Some(self.create(envelope)?);
            return Ok(());
        };
        if self.changes(document, envelope)? {
            document.fold(envelope)?;
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
}

#[cfg(test)]
mod given;
#[cfg(test)]
mod tests;
