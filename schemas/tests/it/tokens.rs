//! The token's test vectors: `docs/tidemark.md` names them, clients may test with them.

use schemas::id::Epoch;
use schemas::lane::{Lane, Position, Seq};
use schemas::tidemark::{Foreign, Keyring, Presented, Tidemark};
use serde::Deserialize;

use crate::files;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    /// `id:hex`.
    key: String,
    /// What the server's epoch is, eight hexadecimal digits.
    epoch: String,
    tokens: Vec<Vector>,
    merges: Vec<Merge>,
    foreign: Vec<ForeignVector>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    #[serde(flatten)]
    fields: Fields,
    token: String,
}

#[derive(Deserialize)]
struct Fields {
    affinity: u8,
    offset: u64,
    entries: Vec<(Lane, Seq)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    name: String,
    tokens: Vec<String>,
    merged: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForeignVector {
    name: String,
    because: Because,
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Because {
    OtherEpoch(String),
    UnknownKey(u8),
    FutureVersion(u8),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    token: String,
    because: String,
}

fn vectors() -> (Vectors, Keyring, Epoch) {
    let vectors: Vectors = files::read("tests/vectors/tidemark.json");
    let keyring = vectors.key.parse().unwrap();
    let epoch = vectors.epoch.parse().unwrap();
    (vectors, keyring, epoch)
}

fn tidemark(epoch: Epoch, fields: &Fields) -> Tidemark {
    let mut tidemark = Tidemark::new(epoch);
    tidemark.raise_affinity(fields.affinity);
    tidemark.raise_offset(fields.offset);
    for &(lane, seq) in &fields.entries {
        tidemark.raise(Position { lane, seq });
    }
    tidemark
}

#[test]
fn every_vector_is_signed_and_opened_as_written() {
    let (vectors, keyring, epoch) = vectors();
    for vector in vectors.tokens {
        let tidemark = tidemark(epoch, &vector.fields);
        assert_eq!(keyring.sign(&tidemark), vector.token, "{}", vector.name);
        let opened = keyring.open(&vector.token, epoch);
        assert_eq!(opened, Ok(Presented::Ours(tidemark)), "{}", vector.name);
    }
}

#[test]
fn every_merge_is_as_written_in_any_order() {
    let (vectors, keyring, epoch) = vectors();
    let merge = |tokens: &mut dyn Iterator<Item = &String>| {
        let mut merged = Tidemark::new(epoch);
        for token in tokens {
            match keyring.open(token, epoch) {
                Ok(Presented::Ours(tidemark)) => merged.merge(&tidemark),
                other => panic!("{token} is {other:?}"),
            }
        }
        keyring.sign(&merged)
    };
    for vector in vectors.merges {
        assert_eq!(
            merge(&mut vector.tokens.iter()),
            vector.merged,
            "{}",
            vector.name
        );
        assert_eq!(
            merge(&mut vector.tokens.iter().rev()),
            vector.merged,
            "{}",
            vector.name
        );
    }
}

#[test]
fn every_foreign_token_says_why() {
    let (vectors, keyring, epoch) = vectors();
    for vector in vectors.foreign {
        let because = match vector.because {
            Because::OtherEpoch(epoch) => Foreign::OtherEpoch(epoch.parse().unwrap()),
            Because::UnknownKey(id) => Foreign::UnknownKey(id),
            Because::FutureVersion(version) => Foreign::FutureVersion(version),
        };
        let opened = keyring.open(&vector.token, epoch);
        assert_eq!(opened, Ok(Presented::Foreign(because)), "{}", vector.name);
    }
}

#[test]
fn every_refused_token_is_refused_for_its_reason() {
    let (vectors, keyring, epoch) = vectors();
    for vector in vectors.refused {
        let error = keyring.open(&vector.token, epoch).unwrap_err();
        assert_eq!(error.to_string(), vector.because, "{}", vector.name);
    }
}
