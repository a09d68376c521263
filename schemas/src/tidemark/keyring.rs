//! Signing and opening tokens: HMAC-SHA256, truncated to 8 bytes, with rotatable keys.
//!
//! The first key signs; all of them open. To rotate, add the new key behind the first everywhere,
//! then put it first, then take the old one away after a day.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::codec::{self, LAST_POSSIBLE_VERSION, VERSION};
use super::{Foreign, MAX_TOKEN_CHARS, Presented, Tidemark, TidemarkError};
use crate::id::Epoch;

const MAC_BYTES: usize = 8;
const MIN_KEY_BYTES: usize = 16;

/// The keys that sign and open tokens. Its text form is `id:hex,id:hex…`; never shown.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: u8,
    mac: Hmac<Sha256>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("a keyring needs at least one key, written as id:hex")]
    Empty,
    #[error("key number {0} is not written as id:hex, with an id from 0 to 255")]
    Form(usize),
    #[error("key {0} is shorter than {MIN_KEY_BYTES} bytes")]
    TooShort(u8),
    #[error("key id {0} is there twice")]
    Twice(u8),
}

impl Keyring {
    /// The token of this tidemark, about 40 characters when idle.
    pub fn sign(&self, tidemark: &Tidemark) -> String {
        let key = &self.keys[0];
        let mut bytes = codec::encode(tidemark, key.id);
        let mac = key.mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a token that a client presented to a service of this epoch.
    pub fn open(&self, token: &str, epoch: Epoch) -> Result<Presented, TidemarkError> {
        if token.len() > MAX_TOKEN_CHARS {
            return Err(TidemarkError::TooLong);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| TidemarkError::Encoding)?;
        let (signed, mac) = bytes
            .split_last_chunk::<MAC_BYTES>()
            .ok_or(TidemarkError::Length)?;
        let &[version, key_id, ..] = signed else {
            return Err(TidemarkError::Length);
        };
        match version {
            VERSION => {}
            0 => return Err(TidemarkError::Version(0)),
            newer if newer <= LAST_POSSIBLE_VERSION => {
                return Ok(Presented::Foreign(Foreign::FutureVersion(newer)));
            }
            never => return Err(TidemarkError::Version(never)),
        }
        let Some(key) = self.keys.iter().find(|key| key.id == key_id) else {
            return Ok(Presented::Foreign(Foreign::UnknownKey(key_id)));
        };
        key.mac
            .clone()
            .chain_update(signed)
            .verify_truncated_left(mac)
            .map_err(|_| TidemarkError::Signature)?;
        let tidemark = codec::decode(signed)?;
        if tidemark.epoch() == epoch {
            Ok(Presented::Ours(tidemark))
        } else {
            Ok(Presented::Foreign(Foreign::OtherEpoch(tidemark.epoch())))
        }
    }
}

impl FromStr for Keyring {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, part) in text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .enumerate()
        {
            let form = || KeyringError::Form(number + 1);
            let (id, hex) = part.trim().split_once(':').ok_or_else(form)?;
            let id: u8 = id.parse().map_err(|_| form())?;
            let bytes = decode_hex(hex).ok_or_else(form)?;
            if bytes.len() < MIN_KEY_BYTES {
                return Err(KeyringError::TooShort(id));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyringError::Twice(id));
            }
            let mac = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length");
            keys.push(Key { id, mac });
        }
        if keys.is_empty() {
            Err(KeyringError::Empty)
        } else {
            Ok(Self { keys })
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u8> = self.keys.iter().map(|key| key.id).collect();
        f.debug_struct("Keyring")
            .field("ids", &ids)
            .finish_non_exhaustive()
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
