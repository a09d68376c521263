//! Records of the watermark topic, with all of their fields: golden files and JSON Schemas.

use schemars::{JsonSchema, schema_for};
use schemas::watermark::{Announced, Key, Record, Retired, Switch, Watermark, Wish};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files;

/// A record as it stands in the topic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    key: String,
    value: Value,
}

/// The files of each kind: in full, and as short as it can be.
const FILES: &[(&str, &str)] = &[
    ("watermark", "watermark"),
    ("watermark", "watermark-short"),
    ("watermark", "watermark-heads"),
    ("announced", "announced"),
    ("announced", "announced-short"),
    ("switch", "switch"),
    ("switch", "switch-first"),
    ("retired", "retired"),
    ("retired", "retired-lost"),
    ("wish", "wish-replay"),
    ("wish", "wish-activate"),
];

fn golden(file: &str) -> Golden {
    files::read(&format!("golden/watermark/{file}.json"))
}

fn schema_of(kind: &str) -> String {
    format!("json/watermark-topic.{kind}.json")
}

fn read_and_write<T: Serialize + DeserializeOwned>(value: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap()
}

fn rewritten(kind: &str, value: &Value) -> Value {
    match kind {
        "watermark" => read_and_write::<Watermark>(value),
        "announced" => read_and_write::<Announced>(value),
        "switch" => read_and_write::<Switch>(value),
        "retired" => read_and_write::<Retired>(value),
        "wish" => read_and_write::<Wish>(value),
        other => panic!("{other} is no kind of record"),
    }
}

#[test]
fn every_golden_file_is_listed() {
    let mut listed: Vec<_> = FILES
        .iter()
        .map(|(_, file)| format!("{file}.json"))
        .collect();
    listed.sort();
    assert_eq!(files::names("golden/watermark"), listed);
}

#[test]
fn every_key_is_written_as_it_was_read_and_names_its_kind() {
    for (kind, file) in FILES {
        let key = golden(file).key;
        let parsed: Key = key.parse().unwrap();
        assert_eq!(parsed.to_string(), key);
        assert_eq!(key.split('/').next(), Some(*kind));
    }
}

#[test]
fn every_record_is_read_and_a_null_takes_its_key_away() {
    for (_, file) in FILES {
        let Golden { key, value } = golden(file);
        let bytes = serde_json::to_vec(&value).unwrap();
        let record = Record::parse(key.as_bytes(), Some(&bytes)).unwrap();
        assert!(!matches!(record, Record::Removed(_)), "{file}");
        let removed = Record::parse(key.as_bytes(), None).unwrap();
        assert_eq!(removed, Record::Removed(key.parse().unwrap()));
    }
}

#[test]
fn every_value_is_written_as_it_was_read() {
    for (kind, file) in FILES {
        let value = golden(file).value;
        assert_eq!(rewritten(kind, &value), value, "{file}");
    }
}

#[test]
fn every_value_fits_its_json_schema() {
    for (kind, file) in FILES {
        files::assert_fits(&schema_of(kind), &golden(file).value);
    }
}

#[test]
fn the_json_schemas_are_those_of_the_code() {
    fn check<T: JsonSchema>(kind: &str) {
        files::assert_generated(&schema_of(kind), &schema_for!(T));
    }
    check::<Watermark>("watermark");
    check::<Announced>("announced");
    check::<Switch>("switch");
    check::<Retired>("retired");
    check::<Wish>("wish");
}

#[test]
fn what_is_no_key_is_refused() {
    for key in [
        "",
        "watermark",
        "watermark/products/1",
        "switch/products/1",
        "wish/products/x/y",
        "retired/products/1/x",
    ] {
        assert!(key.parse::<Key>().is_err(), "{key}");
    }
    assert!(Record::parse(&[0xff], None).is_err());
}
