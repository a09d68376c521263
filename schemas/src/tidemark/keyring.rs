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
const SEAL_BYTES: usize = 16;
/// As many as the digest of HMAC-SHA256 has, which is what RFC 2104 asks for.
const MIN_KEY_BYTES: usize = 32;

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

    /// Bytes that only Tidemark can make, such as a cursor, as text for a URL. Readable by anyone.
    /// `purpose` is neither empty nor begins with a version of a token.
    pub fn seal(&self, purpose: &str, bytes: &[u8]) -> String {
        let key = &self.keys[0];
        let mac = key.over(purpose, bytes).finalize().into_bytes();
        let mut sealed = Vec::with_capacity(1 + bytes.len() + SEAL_BYTES);
        sealed.push(key.id);
        sealed.extend_from_slice(bytes);
        sealed.extend_from_slice(&mac[..SEAL_BYTES]);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The bytes that were sealed for this purpose; none for anything else.
    pub fn unseal(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (key_id, rest) = bytes.split_first()?;
        let (bytes, mac) = rest.split_last_chunk::<SEAL_BYTES>()?;
        let key = self.keys.iter().find(|key| key.id == *key_id)?;
        let expected = key.over(purpose, bytes);
        expected.verify_truncated_left(mac).ok()?;
        Some(bytes.to_vec())
    }
}

impl Key {
    fn over(&self, purpose: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mac = self.mac.clone();
        mac.chain_update(purpose)
            .chain_update([0, self.id])
            .chain_update(bytes)
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
    let is_hex = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !text.len().is_multiple_of(2) || !is_hex {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HEX: &str = "7468697274792d74776f20627974657320666f72207468652074657374732121";
    const OTHER_HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const EPOCH: Epoch = Epoch(1);

    fn keyring(text: &str) -> Keyring {
        text.parse().unwrap()
    }

    fn old() -> Keyring {
        keyring(&format!("7:{HEX}"))
    }

    fn rotated() -> Keyring {
        keyring(&format!("8:{OTHER_HEX},7:{HEX}"))
    }

    #[test]
    fn a_key_that_was_rotated_out_of_first_place_still_opens() {
        let (old, rotated) = (old(), rotated());
        let tidemark = Tidemark::new(EPOCH);
        let opened = rotated.open(&old.sign(&tidemark), EPOCH);
        assert_eq!(opened, Ok(Presented::Ours(tidemark.clone())));
        let opened = old.open(&rotated.sign(&tidemark), EPOCH);
        assert_eq!(opened, Ok(Presented::Foreign(Foreign::UnknownKey(8))));
    }

    #[test]
    fn two_keys_of_one_id_do_not_open_each_others_tokens() {
        let token = old().sign(&Tidemark::new(EPOCH));
        let opened = keyring(&format!("7:{OTHER_HEX}")).open(&token, EPOCH);
        assert_eq!(opened, Err(TidemarkError::Signature));
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let (old, rotated) = (old(), rotated());
        let sealed = old.seal("cursor", b"page 2");
        assert_eq!(rotated.unseal("cursor", &sealed), Some(b"page 2".to_vec()));
        assert_eq!(old.unseal("ticket", &sealed), None);
        assert_eq!(old.unseal("cursor", &rotated.seal("cursor", b"x")), None);
        for at in 0..sealed.len() {
            let mut bent = sealed.clone().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            let bent = String::from_utf8(bent).unwrap();
            assert_eq!(rotated.unseal("cursor", &bent), None, "character {at}");
        }
    }

    #[test]
    fn a_keyring_never_shows_its_keys() {
        assert_eq!(format!("{:?}", old()), "Keyring { ids: [7], .. }");
    }

    #[rstest]
    #[case::nothing(String::new(), KeyringError::Empty)]
    #[case::no_id(HEX.to_owned(), KeyringError::Form(1))]
    #[case::an_id_beyond_255(format!("256:{HEX}"), KeyringError::Form(1))]
    #[case::odd_hex(format!("1:{HEX}2"), KeyringError::Form(1))]
    #[case::no_hex(format!("1:{HEX}zz"), KeyringError::Form(1))]
    #[case::a_sign_in_hex(format!("1:{HEX}+a"), KeyringError::Form(1))]
    #[case::no_key("1:".to_owned(), KeyringError::TooShort(1))]
    #[case::one_byte_too_short(format!("1:{}", &HEX[2..]), KeyringError::TooShort(1))]
    #[case::a_second_key_too_short(format!("1:{HEX},2:00"), KeyringError::TooShort(2))]
    #[case::an_id_twice(format!("7:{HEX},7:{OTHER_HEX}"), KeyringError::Twice(7))]
    fn a_bad_keyring_is_refused(#[case] text: String, #[case] error: KeyringError) {
        assert_eq!(text.parse::<Keyring>().unwrap_err(), error);
    }
}
