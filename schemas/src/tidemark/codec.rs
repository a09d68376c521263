//! The bytes of a token before its signature:
//! `version(1) | key id(1) | epoch(4) | affinity(1) | G varint | n | n × (lane, seq varint)`.
//!
//! One tidemark has one encoding: lanes rise, seqs are above 0, varints are as short as can be.

use std::collections::BTreeMap;

use super::{Tidemark, TidemarkError};
use crate::id::Epoch;
use crate::lane::{LANES, Lane};

/// The version written today.
pub(super) const VERSION: u8 = 1;
/// Versions up to here may come from a newer Tidemark; above it there is none.
pub(super) const LAST_POSSIBLE_VERSION: u8 = 15;

pub(super) fn encode(tidemark: &Tidemark, key_id: u8) -> Vec<u8> {
    let mut bytes = vec![VERSION, key_id];
    bytes.extend(tidemark.epoch.0.to_be_bytes());
    bytes.push(tidemark.affinity);
    put_varint(&mut bytes, tidemark.offset);
    bytes.push(tidemark.entries.len() as u8);
    for (lane, &seq) in &tidemark.entries {
        bytes.push(lane.number());
        put_varint(&mut bytes, seq);
    }
    bytes
}

/// Reads what `encode` wrote, and nothing else. Called only after the signature was checked.
pub(super) fn decode(bytes: &[u8]) -> Result<Tidemark, TidemarkError> {
    let mut reader = Reader { bytes };
    reader.take::<2>()?;
    let epoch = Epoch(u32::from_be_bytes(reader.take()?));
    let [affinity] = reader.take()?;
    let offset = reader.varint()?;
    let [count] = reader.take()?;
    if count > LANES {
        return Err(TidemarkError::NotCanonical);
    }
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let [lane] = reader.take()?;
        let lane = Lane::try_from(lane).map_err(|_| TidemarkError::NotCanonical)?;
        let rises = entries
            .last_key_value()
            .is_none_or(|(&last, _)| last < lane);
        let seq = reader.varint()?;
        if !rises || seq == 0 {
            return Err(TidemarkError::NotCanonical);
        }
        entries.insert(lane, seq);
    }
    if !reader.bytes.is_empty() {
        return Err(TidemarkError::Length);
    }
    Ok(Tidemark {
        epoch,
        affinity,
        offset,
        entries,
    })
}

/// LEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TidemarkError> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(TidemarkError::Length)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, TidemarkError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(TidemarkError::NotCanonical);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let longer_than_needed = byte == 0 && shift > 0;
                return if longer_than_needed {
                    Err(TidemarkError::NotCanonical)
                } else {
                    Ok(value)
                };
            }
        }
        Err(TidemarkError::NotCanonical)
    }
}
