//! Reading the committed files, and holding generated ones against them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

pub fn read<T: DeserializeOwned>(relative: &str) -> T {
    let text = fs::read_to_string(path(relative))
        .unwrap_or_else(|error| panic!("{relative} cannot be read: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{relative} is unfit: {error}"))
}

/// Names in a folder, in order.
pub fn names(relative: &str) -> Vec<String> {
    let entries = fs::read_dir(path(relative)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The committed file says what the code says; with `UPDATE_SCHEMAS=1` it is made to.
pub fn assert_generated(relative: &str, generated: &impl serde::Serialize) {
    let generated = serde_json::to_string_pretty(generated).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(path(relative), &generated).unwrap();
    }
    let committed = fs::read_to_string(path(relative)).unwrap_or_default();
    assert_eq!(
        committed, generated,
        "{relative} has drifted; see tests/it/main.rs for how to rewrite it"
    );
}

/// The value fits the committed JSON Schema, formats included.
pub fn assert_fits(schema: &str, value: &Value) {
    let schema_value: Value = read(schema);
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema_value)
        .unwrap();
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {errors:?} in {value}");
}
