//! Lanes: 64 fixed virtual shards of the event log, and positions in them.
//!
//! All events of a subject are in one lane, and seq is dense in commit order, so "everything up to
//! here" is one number per lane. The hash is the same in SQL (`lane_of`) and here; the vectors in
//! the tests pin both.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

/// How many lanes there are. It never changes: tokens, keys and rows name them.
pub const LANES: u8 = 64;

/// The dense number of an event in its lane: 1, 2, 3 … 0 stands for "nothing yet".
pub type Seq = u64;

/// One of the 64 lanes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(extend("maximum" = 63))]
pub struct Lane(u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lane {0} is outside 0 to 63")]
pub struct LaneOutOfRange(pub i64);

impl Lane {
    /// The lane of a subject: the first byte of SHA-256 over its 16 bytes, modulo 64.
    pub fn of(subject: impl Into<Uuid>) -> Self {
        let digest = Sha256::digest(subject.into().as_bytes());
        Self(digest[0] & (LANES - 1))
    }

    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..LANES).map(Self)
    }

    pub fn number(self) -> u8 {
        self.0
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The Kafka partition that carries this lane.
    pub fn partition(self, partitions: i32) -> i32 {
        i32::from(self.0) % partitions
    }
}

impl TryFrom<u8> for Lane {
    type Error = LaneOutOfRange;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number < LANES {
            Ok(Self(number))
        } else {
            Err(LaneOutOfRange(number.into()))
        }
    }
}

impl TryFrom<i16> for Lane {
    type Error = LaneOutOfRange;

    fn try_from(number: i16) -> Result<Self, Self::Error> {
        u8::try_from(number)
            .ok()
            .and_then(|n| Self::try_from(n).ok())
            .ok_or(LaneOutOfRange(number.into()))
    }
}

impl From<Lane> for u8 {
    fn from(lane: Lane) -> u8 {
        lane.0
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the event log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Position {
    pub lane: Lane,
    pub seq: Seq,
}

/// One seq for each lane: heads, watermarks, applied positions. Missing lanes stand at 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneSeqs([Seq; LANES as usize]);

impl Default for LaneSeqs {
    fn default() -> Self {
        Self([0; LANES as usize])
    }
}

impl LaneSeqs {
    pub fn get(&self, lane: Lane) -> Seq {
        self.0[lane.index()]
    }

    pub fn set(&mut self, lane: Lane, seq: Seq) {
        self.0[lane.index()] = seq;
    }

    /// Raises a lane to `seq`; never lowers it. True when it moved.
    pub fn raise(&mut self, lane: Lane, seq: Seq) -> bool {
        let current = &mut self.0[lane.index()];
        let moved = seq > *current;
        *current = seq.max(*current);
        moved
    }

    /// The greater of both, lane by lane. True when any lane moved.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut moved = false;
        for (lane, seq) in other.iter() {
            moved |= self.raise(lane, seq);
        }
        moved
    }

    /// True when every lane stands at or above the other's.
    pub fn covers(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(mine, theirs)| mine >= theirs)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Lane, Seq)> + '_ {
        Lane::all().zip(self.0.iter().copied())
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl FromIterator<(Lane, Seq)> for LaneSeqs {
    fn from_iter<T: IntoIterator<Item = (Lane, Seq)>>(pairs: T) -> Self {
        let mut seqs = Self::default();
        for (lane, seq) in pairs {
            seqs.raise(lane, seq);
        }
        seqs
    }
}

impl Serialize for LaneSeqs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LaneSeqs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seqs = Vec::<Seq>::deserialize(deserializer)?;
        let length = seqs.len();
        seqs.try_into()
            .map(Self)
            .map_err(|_| serde::de::Error::invalid_length(length, &"64 seqs"))
    }
}

impl JsonSchema for LaneSeqs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "LaneSeqs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "type": "integer", "format": "uint64", "minimum": 0 },
            "minItems": LANES,
            "maxItems": LANES,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pinned: computed once with `get_byte(sha256(uuid_send(subject)), 0) & 63` in PostgreSQL.
    const VECTORS: [(&str, u8); 5] = [
        ("00000000-0000-0000-0000-000000000000", 55),
        ("00000000-0000-0000-0000-000000000001", 60),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", 26),
        ("018f3e3c-7b1a-7c4d-8e5f-0123456789ab", 54),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", 14),
    ];

    #[test]
    fn the_lane_of_a_subject_never_changes() {
        let lanes: Vec<_> = VECTORS
            .map(|(subject, _)| Lane::of(subject.parse::<Uuid>().unwrap()).number())
            .into();
        assert_eq!(lanes, VECTORS.map(|(_, lane)| lane));
    }

    #[test]
    fn a_lane_seq_is_raised_but_never_lowered() {
        let lane = Lane::try_from(7u8).unwrap();
        let mut seqs = LaneSeqs::default();
        assert!(seqs.raise(lane, 5));
        assert!(!seqs.raise(lane, 3));
        assert_eq!(seqs.get(lane), 5);
    }
}
