//! The tidemark: a signed token that says how far the sea of events had risen for a client.
//!
//! `docs/tidemark.md` specifies it. Merging is commutative, associative and idempotent, so the
//! order in which a client meets answers never matters. A token has exactly one encoding, so a
//! flipped bit is never taken for another token.

use std::collections::BTreeMap;

use crate::id::Epoch;
use crate::lane::{Lane, Position, Seq};

mod codec;
mod keyring;

pub use keyring::{Keyring, KeyringError};

/// The most characters that a token may have.
///
/// One of version 1 takes at most 974 (every lane and `G` at `u64::MAX`), and 547 with seqs below
/// 2^35; the rest is room for a future version, which is told apart only if it is decoded at all.
pub const MAX_TOKEN_CHARS: usize = 1024;

/// The most tokens that one request may carry.
pub const MAX_TOKENS: usize = 8;

/// What a client wrote or was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tidemark {
    epoch: Epoch,
    affinity: u8,
    offset: u64,
    entries: BTreeMap<Lane, Seq>,
}

/// A token that was issued by Tidemark, though perhaps not by this history or this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    Ours(Tidemark),
    Foreign(Foreign),
}

/// Why a well-formed token says nothing here. Reads then need the heads at their arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    OtherEpoch(Epoch),
    UnknownKey(u8),
    FutureVersion(u8),
}

/// Not a token that Tidemark issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TidemarkError {
    #[error("the token is longer than {MAX_TOKEN_CHARS} characters")]
    TooLong,
    #[error("the token is not base64url without padding")]
    Encoding,
    #[error("the token has version {0}, which never existed")]
    Version(u8),
    #[error("the token ends too early or too late")]
    Length,
    #[error("the token's signature does not match")]
    Signature,
    #[error("the token is signed but not in canonical form")]
    NotCanonical,
}

impl Tidemark {
    /// The token of a client that has written and seen nothing.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            affinity: 0,
            offset: 0,
            entries: BTreeMap::new(),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Keeps a session on the same copies of an index; the larger wins in a merge.
    pub fn affinity(&self) -> u8 {
        self.affinity
    }

    /// `G`: one more than the offset of the last watermark record that changed something for the
    /// replica that served this client; 0 for none.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Positions that are not known to be covered, by lane.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Position> + '_ {
        self.entries
            .iter()
            .map(|(&lane, &seq)| Position { lane, seq })
    }

    /// The entry of a lane; 0 for none.
    pub fn seq(&self, lane: Lane) -> Seq {
        self.entries.get(&lane).copied().unwrap_or(0)
    }

    /// Raises the lane's entry to this position. Never lowers it; seq 0 says nothing.
    pub fn raise(&mut self, position: Position) {
        if position.seq > 0 {
            let entry = self.entries.entry(position.lane).or_default();
            *entry = position.seq.max(*entry);
        }
    }

    pub fn raise_offset(&mut self, offset: u64) {
        self.offset = offset.max(self.offset);
    }

    pub fn raise_affinity(&mut self, affinity: u8) {
        self.affinity = affinity.max(self.affinity);
    }

    /// Keeps the entries for which `keep` holds.
    pub fn prune(&mut self, mut keep: impl FnMut(Position) -> bool) {
        self.entries
            .retain(|&lane, &mut seq| keep(Position { lane, seq }));
    }

    /// Everything that either of both says. Both are of one epoch.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(
            self.epoch, other.epoch,
            "tokens of two histories are never merged"
        );
        self.raise_affinity(other.affinity);
        self.raise_offset(other.offset);
        for position in other.entries() {
            self.raise(position);
        }
    }
}

#[cfg(test)]
mod tests;
