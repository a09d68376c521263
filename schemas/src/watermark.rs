//! Records of the watermark topic: how far each lane is visible, and which builds there are.
//!
//! One partition, compacted by key. Its offsets are the clock `G` of monotonic reads. Watermarks
//! are true whichever owner published them, so readers merge them lane by lane by maximum.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::Epoch;
use crate::lane::{Lane, LaneSeqs, Seq};

mod key;
mod state;

pub use key::{Key, KeyError};
pub use state::{BuildState, Change, HEARD, LaneState, ViewState, WatermarkState};

/// One lane of a watermark record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LaneMark {
    pub lane: Lane,
    /// Highest seq such that it and all before it are visible to search.
    pub seq: Seq,
    /// Head of the lane as PostgreSQL gave it at `heads_at`; absent before the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Seq>,
}

/// A subject whose later events wait because one of them could not be folded or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    pub subject: Uuid,
    /// The first event that is held back.
    pub seq: Seq,
}

/// What one owner says of the lanes of one partition, for one build. Published again every second.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Watermark {
    /// Projection version of the build.
    pub version: u32,
    pub epoch: Epoch,
    pub lanes: Vec<LaneMark>,
    /// When it was published.
    pub at: DateTime<Utc>,
    /// When PostgreSQL gave the heads; absent where they are not known, or their age is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads_at: Option<DateTime<Utc>>,
    /// Newest `recorded_at` that is covered.
    pub covered_recorded_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<Lane, Vec<Held>>,
    /// `subject_hash` of the subjects changed since the key's last record; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<u32>>,
}

/// The most changed subjects that a record names; beyond that `changed` is absent.
pub const MAX_CHANGED: usize = 512;

/// The most subjects that are held in a view's lane; beyond that the lane stops.
pub const MAX_HELD: usize = 100;

/// The last four bytes of a UUID, random in versions 4 and 7: enough to drop a cached document, and short.
pub fn subject_hash(subject: Uuid) -> u32 {
    let bytes = subject.as_bytes();
    u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

/// A build exists: its index was made before, and will never be made again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Announced {
    pub epoch: Epoch,
    pub index: String,
    /// UUID that Elasticsearch gave the index: missing or another one means a lost build.
    pub index_uuid: String,
    /// Projection version.
    pub version: u32,
    pub at: DateTime<Utc>,
    /// The wish that asked for it; none for a first build, a new version or a lost build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Uuid>,
}

/// Readers go from one build to another, all at this record's offset.
///
/// Void where `from` is not the active build at that offset, or `to` is retired by then.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    pub epoch: Epoch,
    pub from: Option<u32>,
    pub to: u32,
    /// For each lane the highest watermark that any then-active build of this view ever had.
    pub floors: LaneSeqs,
    pub at: DateTime<Utc>,
    /// The wish that this fulfils, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Uuid>,
}

/// A build is fed no longer. Void for the active one, unless that is lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Retired {
    pub epoch: Epoch,
    pub at: DateTime<Utc>,
    /// Its index is gone. As the active one it stays that, unreadable, until a switch from it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lost: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What a tool asks of the projectors.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Wish {
    pub epoch: Epoch,
    #[serde(flatten)]
    pub kind: WishKind,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum WishKind {
    /// Build the view anew and switch to it.
    Replay,
    /// Switch to a build that is still fed.
    Activate { build: u32 },
}

/// A record as read: the key with what stands under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(
    clippy::large_enum_variant,
    reason = "one record is alive at a time, on its way into the state"
)]
pub enum Record {
    Watermark {
        view: String,
        build: u32,
        partition: i32,
        watermark: Watermark,
    },
    Announced {
        view: String,
        build: u32,
        announced: Announced,
    },
    Switch {
        view: String,
        id: Uuid,
        switch: Switch,
    },
    Retired {
        view: String,
        build: u32,
        retired: Retired,
    },
    Wish {
        view: String,
        id: Uuid,
        wish: Wish,
    },
    /// The key was taken away.
    Removed(Key),
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the key is not UTF-8")]
    KeyEncoding,
    #[error("value under '{key}' does not fit")]
    Value {
        key: String,
        #[source]
        source: serde_json::Error,
    },
}

impl Record {
    /// The history that it belongs to; none for a key taken away.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Watermark { watermark, .. } => Some(watermark.epoch),
            Self::Announced { announced, .. } => Some(announced.epoch),
            Self::Switch { switch, .. } => Some(switch.epoch),
            Self::Retired { retired, .. } => Some(retired.epoch),
            Self::Wish { wish, .. } => Some(wish.epoch),
            Self::Removed(_) => None,
        }
    }

    /// Reads a Kafka record: key text, value JSON or null.
    pub fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(key).map_err(|_| RecordError::KeyEncoding)?;
        let key: Key = text.parse()?;
        let Some(value) = value else {
            return Ok(Self::Removed(key));
        };
        let wrong = |source| RecordError::Value {
            key: text.to_owned(),
            source,
        };
        Ok(match key {
            Key::Watermark {
                view,
                build,
                partition,
            } => Self::Watermark {
                view,
                build,
                partition,
                watermark: serde_json::from_slice(value).map_err(wrong)?,
            },
            Key::Announced { view, build } => Self::Announced {
                view,
                build,
                announced: serde_json::from_slice(value).map_err(wrong)?,
            },
            Key::Switch { view, switch } => Self::Switch {
                view,
                id: switch,
                switch: serde_json::from_slice(value).map_err(wrong)?,
            },
            Key::Retired { view, build, .. } => Self::Retired {
                view,
                build,
                retired: serde_json::from_slice(value).map_err(wrong)?,
            },
            Key::Wish { view, wish } => Self::Wish {
                view,
                id: wish,
                wish: serde_json::from_slice(value).map_err(wrong)?,
            },
        })
    }
}
