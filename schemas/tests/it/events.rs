//! Every event version ever published has a golden file, is read, and fits its JSON Schema.

use std::collections::BTreeSet;

use schemas::event::{Event, EventError};
use schemas::view::{Targets, View};
use serde::Deserialize;
use serde_json::Value;

use crate::files;

/// An event as it was published once; never changed afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    r#type: String,
    version: u16,
    data: Value,
}

fn golden(type_name: &str, version: u16) -> Golden {
    files::read(&format!("golden/{type_name}/v{version}.json"))
}

fn every_version() -> impl Iterator<Item = (&'static str, u16)> {
    let types = Event::TYPES.iter();
    types.flat_map(|&(name, newest)| (1..=newest).map(move |version| (name, version)))
}

fn schema_of(type_name: &str, version: u16) -> String {
    format!("json/{type_name}.v{version}.json")
}

#[test]
fn every_version_ever_published_has_a_golden_file_that_names_it() {
    for (name, version) in every_version() {
        let golden = golden(name, version);
        assert_eq!((golden.r#type.as_str(), golden.version), (name, version));
    }
}

#[test]
fn no_golden_file_is_left_without_its_event() {
    for name in files::names("golden")
        .iter()
        .filter(|name| !["mappings.json", "operations", "watermark"].contains(&name.as_str()))
    {
        let newest = Event::TYPES.iter().find(|(known, _)| known == name);
        let (_, newest) = newest.unwrap_or_else(|| panic!("{name} was published, and is gone"));
        let expected: BTreeSet<_> = (1..=*newest).map(|n| format!("v{n}.json")).collect();
        let found: BTreeSet<_> = files::names(&format!("golden/{name}"))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_version_ever_published_is_read_as_todays_event() {
    for (name, version) in every_version() {
        let golden = golden(name, version);
        let event = Event::parse(name, version, golden.data).unwrap();
        assert_eq!(event.type_name(), name);
    }
}

#[test]
fn the_newest_version_is_written_as_it_was_read() {
    for &(name, newest) in Event::TYPES {
        let golden = golden(name, newest);
        let event = Event::parse(name, newest, golden.data.clone()).unwrap();
        assert_eq!(event.version(), newest);
        assert_eq!(event.to_data(), golden.data, "{name}");
    }
}

/// A fill reads subject by subject, and looks for these beforehand.
#[test]
fn an_event_of_a_subject_that_concerns_a_lane_is_named_by_its_view() {
    for &(name, newest) in Event::TYPES {
        let event = Event::parse(name, newest, golden(name, newest).data).unwrap();
        for view in View::ALL {
            let is_by_field = matches!(view.targets(&event), Targets::Where { .. });
            let is_lane_wide = is_by_field && event.subject().is_some();
            let is_named = view.lane_wide_types().contains(&name);
            assert_eq!(is_named, is_lane_wide, "{name} in {}", view.name());
        }
    }
}

#[test]
fn every_golden_file_fits_the_json_schema_of_its_version() {
    for (name, version) in every_version() {
        files::assert_fits(&schema_of(name, version), &golden(name, version).data);
    }
}

#[test]
fn the_json_schemas_are_those_of_the_code() {
    for (name, version, schema) in Event::json_schemas() {
        files::assert_generated(&schema_of(name, version), &schema);
    }
}

#[test]
fn no_json_schema_is_left_without_its_event() {
    let known: BTreeSet<_> = every_version()
        .map(|(name, version)| format!("{name}.v{version}.json"))
        .collect();
    let committed = files::names("json").into_iter();
    let events = committed.filter(|name| !name.starts_with("watermark-topic."));
    assert_eq!(events.collect::<BTreeSet<_>>(), known);
}

#[test]
fn a_version_of_the_future_is_unknown_and_not_malformed() {
    for &(name, newest) in Event::TYPES {
        let golden = golden(name, newest);
        let error = Event::parse(name, newest + 1, golden.data).unwrap_err();
        assert!(matches!(error, EventError::Unknown { .. }), "{error}");
    }
}

#[test]
fn an_event_without_a_required_field_is_malformed() {
    for &(name, newest) in Event::TYPES {
        let schema: Value = files::read(&schema_of(name, newest));
        let required = schema["required"].as_array().unwrap();
        for field in required.iter().map(|field| field.as_str().unwrap()) {
            let mut data = golden(name, newest).data;
            data.as_object_mut().unwrap().remove(field);
            let error = Event::parse(name, newest, data).unwrap_err();
            assert!(
                matches!(error, EventError::Malformed { .. }),
                "{name} without {field}"
            );
        }
    }
}
