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

const KEY: [u8; 32] = *b"thirty-two bytes for the tests!!";
const KEY_ID: u8 = 7;
const EPOCH: Epoch = Epoch(0x0102_0304);

fn keyring() -> Keyring {
    "7:7468697274792d74776f20627974657320666f72207468652074657374732121"
        .parse()
        .unwrap()
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
    let entries: proptest::strategy::BoxedStrategy<BTreeMap<u8, Seq>> = prop_oneof![
        btree_map(0..64_u8, number(), 0..4),
        btree_map(0..64_u8, number(), 0..=64)
    ]
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
    fn an_extended_or_padded_token_is_refused(
        a in any_tidemark(), more in "[A-Za-z0-9_=+/ -]{1,9}",
    ) {
        let token = keyring().sign(&a);
        let (extended, padded) = (format!("{token}{more}"), format!("{token}="));
        prop_assert!(open(&extended).is_err());
        prop_assert!(open(&padded).is_err());
        assert_not_ours(&format!("{more}{token}"));
    }

    #[test]
    fn whatever_else_is_sent_is_never_ours(text in any::<String>()) {
        assert_not_ours(&text);
    }
}

/// An error, or a token that says nothing here and is therefore never taken as covered.
fn assert_not_ours(token: &str) {
    if let Ok(Presented::Ours(tidemark)) = open(token) {
        panic!("{token} was opened as {tidemark:?}");
    }
}

#[test]
fn no_single_flipped_bit_of_small_tokens_is_taken_for_ours() {
    for small in [
        tidemark(0, 0, []),
        tidemark(200, 987_654, [(0, 1), (13, 300), (63, 1 << 40)]),
    ] {
        let signed = bytes(&keyring().sign(&small));
        for bit in 0..signed.len() * 8 {
            let mut flipped = signed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_not_ours(&URL_SAFE_NO_PAD.encode(flipped));
        }
    }
}

#[test]
fn an_idle_token_takes_about_40_characters() {
    let offset = 1 << 34;
    assert_eq!(keyring().sign(&tidemark(255, offset, [])).len(), 28);
    let entries = [(0, 1 << 28), (63, 1 << 28)];
    assert_eq!(keyring().sign(&tidemark(255, offset, entries)).len(), 44);
}

#[test]
fn a_token_with_every_lane_takes_at_most_560_characters_below_seq_2_to_the_35() {
    let last = (1 << 35) - 1;
    let token = keyring().sign(&tidemark(255, u64::MAX, (0..64).map(|lane| (lane, last))));
    assert_eq!(token.len(), 547);
}

#[test]
fn no_token_of_this_version_is_longer_than_the_limit() {
    let token = keyring().sign(&tidemark(
        255,
        u64::MAX,
        (0..64).map(|lane| (lane, u64::MAX)),
    ));
    assert_eq!(token.len(), 974);
    assert!(token.len() <= MAX_TOKEN_CHARS);
}

#[test]
fn a_longer_text_is_not_even_decoded() {
    let longest = "A".repeat(MAX_TOKEN_CHARS);
    assert_eq!(open(&longest), Err(TidemarkError::Version(0)));
    assert_eq!(open(&format!("{longest}A")), Err(TidemarkError::TooLong));
}

#[test]
fn a_forged_body_with_a_true_signature_is_opened() {
    let token = forge(&body(&[0xac, 0x02, 2, 3, 1, 9, 0x80, 0x01]));
    assert_eq!(
        open(&token),
        Ok(Presented::Ours(tidemark(0, 300, [(3, 1), (9, 128)])))
    );
}

#[rstest]
#[case::lanes_that_fall(&[0, 2, 9, 1, 3, 1], TidemarkError::NotCanonical)]
#[case::a_lane_twice(&[0, 2, 3, 1, 3, 2], TidemarkError::NotCanonical)]
#[case::a_lane_beyond_63(&[0, 1, 64, 1], TidemarkError::NotCanonical)]
#[case::a_seq_of_0(&[0, 1, 3, 0], TidemarkError::NotCanonical)]
#[case::a_seq_longer_than_needed(&[0, 1, 3, 0x81, 0], TidemarkError::NotCanonical)]
#[case::a_g_longer_than_needed(&[0x80, 0, 0], TidemarkError::NotCanonical)]
#[case::a_g_above_64_bits(
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0], TidemarkError::NotCanonical
)]
#[case::a_g_of_eleven_bytes(
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81, 1, 0], TidemarkError::NotCanonical
)]
#[case::more_entries_than_lanes(&[0, 65], TidemarkError::NotCanonical)]
#[case::an_entry_too_few(&[0, 2, 3, 1], TidemarkError::Length)]
#[case::an_entry_too_many(&[0, 1, 3, 1, 4, 1], TidemarkError::Length)]
#[case::no_count(&[0], TidemarkError::Length)]
#[case::nothing(&[], TidemarkError::Length)]
fn another_encoding_is_refused_though_correctly_signed(
    #[case] rest: &[u8],
    #[case] error: TidemarkError,
) {
    assert_eq!(open(&forge(&body(rest))), Err(error));
}

#[test]
fn a_token_of_another_history_is_foreign() {
    let token = keyring().sign(&tidemark(0, 5, [(3, 1)]));
    let opened = keyring().open(&token, Epoch(9));
    assert_eq!(opened, Ok(Presented::Foreign(Foreign::OtherEpoch(EPOCH))));
}

#[test]
fn a_token_of_another_history_needs_a_true_signature_too() {
    let mut bytes = bytes(&keyring().sign(&tidemark(0, 5, [(3, 1)])));
    bytes[5] ^= 1;
    assert_eq!(
        open(&URL_SAFE_NO_PAD.encode(bytes)),
        Err(TidemarkError::Signature)
    );
}

#[test]
fn a_token_under_an_unknown_key_is_foreign() {
    let mut signed = body(&[0, 0]);
    signed[1] = 8;
    assert_eq!(
        open(&forge(&signed)),
        Ok(Presented::Foreign(Foreign::UnknownKey(8)))
    );
}

#[test]
fn versions_2_to_15_are_of_the_future_and_the_others_never_were() {
    for version in 0..=u8::MAX {
        let mut signed = body(&[0, 0]);
        signed[0] = version;
        let expected = match version {
            0 | 16.. => Err(TidemarkError::Version(version)),
            1 => Ok(Presented::Ours(Tidemark::new(EPOCH))),
            _ => Ok(Presented::Foreign(Foreign::FutureVersion(version))),
        };
        assert_eq!(open(&forge(&signed)), expected);
    }
}
