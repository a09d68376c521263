//! Laws of the token: how tidemarks merge, and which strings are taken for one.
//!
//! Tokens are forged here with a signer of its own, so that the codec is judged by the
//! specification (`docs/tidemark.md`) and not by itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::collection::btree_map;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use rstest::rstest;
use sha2::Sha256;

use super::{Foreign, Keyring, MAX_TOKEN_CHARS, Presented, Tidemark, TidemarkError};
use crate::id::Epoch;
use crate::lane::{Lane, Position, Seq};

const KEY: [u8; 16] = *b"sixteen bytes!!!";
const KEY_ID: u8 = 7;
const EPOCH: Epoch = Epoch(0x0102_0304);

fn keyring() -> Keyring {
    "7:7369787465656e206279746573212121".parse().unwrap()
}

fn tidemark(affinity: u8, offset: u64, entries: impl IntoIterator<Item = (u8, Seq)>) -> Tidemark {
    let mut tidemark = Tidemark::new(EPOCH);
    tidemark.raise_affinity(affinity);
    tidemark.raise_offset(offset);
    for (lane, seq) in entries {
        let lane = Lane::try_from(lane).unwrap();
        tidemark.raise(Position { lane, seq });
    }
    tidemark
}

/// Small numbers and huge ones, so that varints of every length appear.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(bits, shift)| bits >> shift)
}

fn any_tidemark() -> impl Strategy<Value = Tidemark> {
    let entries: proptest::strategy::BoxedStrategy<BTreeMap<u8, Seq>> =
        prop_oneof![btree_map(0..64_u8, number(), 0..4), btree_map(0..64_u8, number(), 0..=64)]
            .boxed();
    (any::<u8>(), number(), entries)
        .prop_map(|(affinity, offset, entries)| tidemark(affinity, offset, entries))
}

fn merged(a: &Tidemark, b: &Tidemark) -> Tidemark {
    let mut merged = a.clone();
    merged.merge(b);
    merged
}

fn open(token: &str) -> Result<Presented, TidemarkError> {
    keyring().open(token, EPOCH)
}

/// A token with a true signature over whatever stands in it.
fn forge(signed: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    let mac = mac.chain_update(signed).finalize().into_bytes();
    URL_SAFE_NO_PAD.encode([signed, &mac[..8]].concat())
}

/// `version | key id | epoch | affinity`, and the rest as given.
fn body(rest: &[u8]) -> Vec<u8> {
    [&[1, KEY_ID][..], &EPOCH.0.to_be_bytes(), &[0], rest].concat()
}

fn bytes(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token).unwrap()
}

proptest! {
    #[test]
    fn merging_is_commutative(a in any_tidemark(), b in any_tidemark()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn merging_is_associative(a in any_tidemark(), b in any_tidemark(), c in any_tidemark()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn merging_is_idempotent_and_a_blank_token_adds_nothing(a in any_tidemark()) {
        prop_assert_eq!(merged(&a, &a), a.clone());
        prop_assert_eq!(merged(&a, &Tidemark::new(EPOCH)), a);
    }

    #[test]
    fn a_merge_is_at_least_each_of_both(a in any_tidemark(), b in any_tidemark()) {
        let both = merged(&a, &b);
        for lane in Lane::all() {
            prop_assert_eq!(both.seq(lane), a.seq(lane).max(b.seq(lane)));
        }
        prop_assert_eq!(both.offset(), a.offset().max(b.offset()));
        prop_assert_eq!(both.affinity(), a.affinity().max(b.affinity()));
    }

    #[test]
    fn what_was_signed_is_opened_again(a in any_tidemark()) {
        let token = keyring().sign(&a);
        prop_assert!(token.len() <= MAX_TOKEN_CHARS);
        prop_assert_eq!(open(&token), Ok(Presented::Ours(a)));
    }

    #[test]
    fn no_flipped_bit_is_taken_for_ours(a in any_tidemark(), bit in any::<Index>()) {
        let mut bytes = bytes(&keyring().sign(&a));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_not_ours(&URL_SAFE_NO_PAD.encode(bytes));
    }

    #[test]
    fn no_other_character_is_taken_for_ours(
        a in any_tidemark(), at in any::<Index>(), other in any::<char>(),
    ) {
        let token = keyring().sign(&a);
        let at = at.index(token.len());
        let changed: String = token
            .chars()
            .enumerate()
            .map(|(place, own)| if place == at { other } else { own })
            .collect();
        if changed != token {
            assert_not_ours(&changed);
        }
    }

    #[test]
    fn a_truncated_token_is_refused(a in any_tidemark(), length in any::<Index>()) {
        let token = keyring().sign(&a);
        prop_assert!(open(&token[..length.index(token.len())]).is_err());
    }

    #[test]
    fn an_extended_or_padded_token_is_refused(a in any_tidemark(), more in "[A-Za-z0-9_=+/ -]{1,9}") {
        let token = keyring().sign(&a);
        prop_assert!(open(&format!("{token}{more}")).is_err());
        prop_assert!(open(&format!("{more}{token}")).is_err() || more.starts_with('A') || is_foreign(&format!("{more}{token}")));
        prop_assert!(open(&format!("{token}=")).is_err());
    }

    #[test]
    fn whatever_else_is_sent_is_never_ours(text in any::<String>()) {
        assert_not_ours(&text);
    }
}
