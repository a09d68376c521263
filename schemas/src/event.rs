//! Events: facts in the past tense, immutable and versioned. They are the source of truth.
//!
//! A published event never changes. A new shape is a new version of its type, and `upcast` turns
//! every version ever published into today's; each has a golden file.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::id::Epoch;
use crate::lane::{Lane, Position, Seq};
use crate::upcast;

pub mod category;
pub mod product;
pub mod record;
pub mod stock;

pub use category::{CategoryCreated, CategoryMoved, CategoryRef, CategoryRenamed, CategoryRetired};
pub use product::{
    PriceChanged, ProductCategorized, ProductCreated, ProductDetailsChanged, ProductListed,
    ProductUnlisted,
};
pub use stock::StockAdjusted;

/// The most that the data of one event may take as JSON, in bytes.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// A line for each type: its name on the wire, its version, the stream that it belongs to, and
/// `to all lanes` for a broadcast.
macro_rules! events {
    (@is_broadcast) => { false };
    (@is_broadcast all lanes) => { true };
    ($(
        $name:ident = $wire:literal v $version:literal of $kind:ident($id:ident)
        $(to $all:ident $lanes:ident)?
    ),+ $(,)?) => {
        /// Every fact that Tidemark knows, in its newest version.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($name($name)),+
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })+

        impl Event {
            /// The types in their newest version, as they stand on the wire.
            pub const TYPES: &'static [(&'static str, u16)] = &[$(($wire, $version)),+];

            /// The name on the wire; it never changes.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => $wire),+ }
            }

            /// The version of this type that is written today.
            pub fn version(&self) -> u16 {
                match self { $(Self::$name(_) => $version),+ }
            }

            /// True for the rare events that concern documents of every lane: one copy in each.
            pub fn is_broadcast(&self) -> bool {
                match self {
                    $(Self::$name(_) => events!(@is_broadcast $($all $lanes)?)),+
                }
            }

            /// The stream whose version this event raises.
            pub fn stream_id(&self) -> StreamId {
                match self {
                    $(Self::$name(event) => StreamId::new(StreamKind::$kind, event.$id)),+
                }
            }

            /// When it happened: the argument of the decision, not the time of the append.
            pub fn occurred_at(&self) -> DateTime<Utc> {
                match self { $(Self::$name(event) => event.occurred_at),+ }
            }

            /// The data as JSON. Cannot fail: events hold nothing that JSON cannot.
            pub fn to_data(&self) -> Value {
                match self { $(Self::$name(event) => serde_json::to_value(event)),+ }
                    .expect("events are plain data")
            }

            fn from_newest(type_name: &str, data: Value) -> Result<Self, serde_json::Error> {
                match type_name {
                    $($wire => serde_json::from_value::<$name>(data).map(Self::$name),)+
                    other => Err(serde::de::Error::custom(format!("unknown type {other}"))),
                }
            }

            fn from_newest_json(type_name: &str, json: &[u8]) -> Result<Self, serde_json::Error> {
                match type_name {
                    $($wire => serde_json::from_slice::<$name>(json).map(Self::$name),)+
                    other => Err(serde::de::Error::custom(format!("unknown type {other}"))),
                }
            }

            /// The JSON Schema of each type in its newest version.
            pub fn json_schemas() -> Vec<(&'static str, u16, schemars::Schema)> {
                vec![$(($wire, $version, schemars::schema_for!($name))),+]
            }
        }
    };
}

events! {
    CategoryCreated = "category-created" v 1 of Category(category_id),
    CategoryRenamed = "category-renamed" v 1 of Category(category_id) to all lanes,
    CategoryMoved = "category-moved" v 1 of Category(category_id) to all lanes,
    CategoryRetired = "category-retired" v 1 of Category(category_id),
    ProductCreated = "product-created" v 1 of Product(product_id),
    ProductDetailsChanged = "product-details-changed" v 1 of Product(product_id),
    ProductCategorized = "product-categorized" v 1 of Product(product_id),
    PriceChanged = "price-changed" v 1 of Product(product_id),
    ProductListed = "product-listed" v 1 of Product(product_id),
    ProductUnlisted = "product-unlisted" v 1 of Product(product_id),
    StockAdjusted = "stock-adjusted" v 1 of Stock(product_id),
}

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Written by a newer Tidemark: the lane waits for a newer reader, nothing is wrong with it.
    #[error("event type {type_name} version {version} is not known to this binary")]
    Unknown { type_name: String, version: u16 },
    /// Poison: it will never be readable.
    #[error("event type {type_name} version {version} does not fit its schema")]
    Malformed {
        type_name: String,
        version: u16,
        #[source]
        source: serde_json::Error,
    },
}

impl Event {
    /// Reads any version ever published, as today's shape.
    pub fn parse(type_name: &str, version: u16, data: Value) -> Result<Self, EventError> {
        newest_of(type_name, version)?;
        let data = upcast::to_newest(type_name, version, data);
        Self::from_newest(type_name, data).map_err(malformed(type_name, version))
    }

    /// The same from JSON; the newest version goes straight into its type.
    pub fn parse_json(type_name: &str, version: u16, json: &[u8]) -> Result<Self, EventError> {
        let malformed = malformed(type_name, version);
        if newest_of(type_name, version)? == version {
            return Self::from_newest_json(type_name, json).map_err(malformed);
        }
        let data = serde_json::from_slice(json).map_err(malformed)?;
        Self::parse(type_name, version, data)
    }

    /// The id that a document is about, whose lane the event goes to. None for a broadcast.
    pub fn subject(&self) -> Option<Uuid> {
        (!self.is_broadcast()).then(|| self.stream_id().id)
    }
}

/// The newest version of a type, where this version of it is known.
fn newest_of(type_name: &str, version: u16) -> Result<u16, EventError> {
    let types = Event::TYPES.iter();
    let newest = types
        .filter(|(name, _)| *name == type_name)
        .map(|(_, v)| *v);
    let mut known = newest.filter(|newest| (1..=*newest).contains(&version));
    known.next().ok_or_else(|| EventError::Unknown {
        type_name: type_name.to_owned(),
        version,
    })
}

fn malformed(type_name: &str, version: u16) -> impl Fn(serde_json::Error) -> EventError + Copy {
    move |source| EventError::Malformed {
        type_name: type_name.to_owned(),
        version,
        source,
    }
}

macro_rules! stream_kinds {
    ($($kind:ident = $name:literal),+ $(,)?) => {
        /// What a stream is about. Product and stock of one product are two streams of one subject.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StreamKind {
            $($kind),+
        }

        impl StreamKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }
        }
    };
}

stream_kinds! {
    Category = "category",
    Product = "product",
    Stock = "stock",
}

/// `<kind>-<uuid>`: the unit of optimistic concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId {
    pub kind: StreamKind,
    pub id: Uuid,
}

impl StreamId {
    pub fn new(kind: StreamKind, id: impl Into<Uuid>) -> Self {
        Self {
            kind,
            id: id.into(),
        }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.kind.name(), self.id)
    }
}

impl std::str::FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || StreamIdError(text.to_owned());
        let (kind, id) = text.split_once('-').ok_or_else(error)?;
        let mut kinds = StreamKind::ALL.iter();
        let kind = kinds.find(|known| known.name() == kind);
        Ok(Self {
            kind: *kind.ok_or_else(error)?,
            id: id.parse().map_err(|_| error())?,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a stream id")]
pub struct StreamIdError(pub String);

/// Who caused an event, and in which request. Never personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// `sub` of the token that was acted under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Uuid>,
    /// Joins logs, traces and events of one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event as the log holds it: the fact and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub lane: Lane,
    pub seq: Seq,
    pub event_id: Uuid,
    /// None for a broadcast.
    pub subject: Option<Uuid>,
    pub stream_id: StreamId,
    /// 1 for the first event of its stream.
    pub stream_version: u64,
    pub epoch: Epoch,
    /// Set by the append step; never decreases within a lane.
    pub recorded_at: DateTime<Utc>,
    pub meta: Meta,
    pub event: Event,
}

impl Envelope {
    pub fn position(&self) -> Position {
        Position {
            lane: self.lane,
            seq: self.seq,
        }
    }
}
