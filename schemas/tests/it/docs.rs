//! The documents name everything that they promise to name.

use std::fs;

use schemas::event::Event;
use schemas::lane::Lane;
use schemas::topic::header;
use serde_json::Value;
use uuid::Uuid;

use crate::files;

fn page(name: &str) -> String {
    fs::read_to_string(files::path(&format!("../docs/{name}"))).unwrap()
}

#[test]
fn the_page_on_events_has_every_type_and_its_newest_version() {
    let page = page("events.md");
    for (name, version) in Event::TYPES {
        let row = format!("| `{name}` | {version} |");
        assert!(page.contains(&row), "docs/events.md lacks {row}");
    }
}

#[test]
fn the_page_on_events_names_every_field_of_every_event() {
    let page = page("events.md");
    for (name, _) in Event::TYPES {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap();
        let golden: Value = files::read(&format!("golden/{name}/v1.json"));
        let fields = golden["data"].as_object().unwrap().keys();
        for field in fields.filter(|field| *field != "occurred_at") {
            assert!(row.contains(&format!("`{field}`")), "{name} lacks {field}");
        }
    }
}

#[test]
fn the_page_on_events_has_every_header() {
    let page = page("events.md");
    for header in header::ALL {
        assert!(
            page.contains(&format!("| `{header}` |")),
            "docs/events.md lacks {header}"
        );
    }
}

#[test]
fn the_example_of_the_token_is_one_of_the_vectors() {
    let vectors: Value = files::read("tests/vectors/tidemark.json");
    let mut vectors = vectors["tokens"].as_array().unwrap().iter();
    let vector = vectors
        .find(|vector| vector["name"] == "one write")
        .unwrap();
    assert!(page("tidemark.md").contains(vector["token"].as_str().unwrap()));
}

#[test]
fn the_lanes_of_the_page_on_tidemarks_are_those_of_the_code() {
    let page = page("tidemark.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'));
        Some((
            cells.next()?.parse::<Uuid>().ok()?,
            cells.next()?.parse::<u8>().ok()?,
        ))
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 5);
    for (subject, lane) in rows {
        assert_eq!(Lane::of(subject).number(), lane, "{subject}");
    }
}
