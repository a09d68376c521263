//! What events do to documents: pure decisions over a lane's log and a set of documents.
//!
//! An event is folded in only if its seq is above the document's version. So repeated, late or
//! zombie work changes nothing, and no document ever goes back.

use std::sync::Arc;

use schemas::event::{Envelope, EventError, record};
use schemas::lane::{Position, Seq};
use uuid::Uuid;

mod fold;
mod run;
#[cfg(test)]
pub(crate) mod samples;

pub use fold::{
    Audience, Fold, Slot, Stand, Working, audiences_of, fold_broadcast, fold_events, stopped_at,
    targets_of,
};
pub use run::{Recent, Run, next_run};

/// An event of a lane's log, or what is known of one that cannot be read.
#[derive(Debug, Clone)]
pub struct LogEntry {
    pub position: Position,
    pub event_id: Uuid,
    /// About what it takes in memory.
    pub bytes: usize,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub enum Content {
    Event(Arc<Envelope>),
    /// It came from Kafka, and only the event table can tell what it is.
    AskTable,
    /// It will never be readable.
    Malformed(String),
    /// Written by a newer Tidemark.
    Unknown(String),
}

impl LogEntry {
    /// A row of the event table, which has the last word.
    pub fn of_row(position: Position, event_id: Uuid, bytes: usize, content: Content) -> Self {
        Self {
            position,
            event_id,
            bytes,
            content,
        }
    }

    /// A record of the events topic whose place was read.
    pub fn from_record(
        position: Position,
        event_id: Uuid,
        payload_bytes: usize,
        envelope: Result<Envelope, record::RecordError>,
    ) -> Self {
        let content = match envelope {
            Ok(envelope) => Content::Event(Arc::new(envelope)),
            Err(_) => Content::AskTable,
        };
        Self {
            position,
            event_id,
            bytes: payload_bytes + 512,
            content,
        }
    }

    pub fn seq(&self) -> Seq {
        self.position.seq
    }

    /// True where only the table can tell what it is.
    pub fn is_asking(&self) -> bool {
        matches!(self.content, Content::AskTable)
    }
}

/// What an event of the table that cannot be parsed is.
pub fn unreadable(error: &EventError) -> Content {
    match error {
        EventError::Unknown { .. } => Content::Unknown(error.to_string()),
        EventError::Malformed { .. } => Content::Malformed(with_causes(error)),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Why a lane of a build stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The event cannot be folded, or its document is refused: a dead letter.
    Poison {
        seq: Seq,
        event_id: Uuid,
        reason: String,
    },
    /// The event is newer than this binary: nothing is wrong with it.
    Unknown { seq: Seq, reason: String },
}

impl Stopped {
    /// The event that the lane stands before.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Poison { seq, .. } | Self::Unknown { seq, .. } => *seq,
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Poison { reason, .. } | Self::Unknown { reason, .. } => reason,
        }
    }

    /// The label in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Poison { .. } => "poison",
            Self::Unknown { .. } => "unknown_version",
        }
    }
}
