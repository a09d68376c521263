//! House rules that no compiler checks, as tests over the project's own files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use schemas::view::View;

mod structure;

const SERVICES: [&str; 3] = ["command-svc", "projector", "query-svc"];
const CRATES: [&str; 8] = [
    "schemas",
    "chassis",
    "command-svc",
    "projector",
    "query-svc",
    "infra",
    "e2e",
    "testbed",
];
const MOST_LINES: usize = 500;
const VAGUE_NAMES: [&str; 6] = ["Manager", "Helper", "Util", "Common", "Impl", "Handler"];

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("the workspace's folder").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder whose names end like this.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn sources(crates: &[&str]) -> Vec<PathBuf> {
    crates
        .iter()
        .flat_map(|name| files(&root().join(name), ".rs"))
        .collect()
}

fn offenders(files: Vec<PathBuf>, is_offence: impl Fn(&str) -> bool) -> Vec<String> {
    let offending = files.into_iter().filter(|path| is_offence(&read(path)));
    offending.map(|path| path.display().to_string()).collect()
}

#[track_caller]
fn assert_none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n{}", offenders.join("\n"));
}

#[test]
fn every_source_file_opens_with_why_it_exists() {
    assert_none(
        &offenders(sources(&CRATES), |text| !text.starts_with("//!")),
        "no //! at the top",
    );
}

#[test]
fn no_source_file_is_longer_than_five_hundred_lines() {
    let long = offenders(sources(&CRATES), |text| text.lines().count() > MOST_LINES);
    assert_none(&long, "find the seam");
}

#[test]
fn no_type_has_a_name_that_says_nothing() {
    let is_vague = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let kind = words
            .iter()
            .position(|word| ["struct", "enum", "trait"].contains(word));
        let name = kind
            .and_then(|at| words.get(at + 1))
            .copied()
            .unwrap_or_default();
        let is_code = !line.trim_start().starts_with("//") && !line.contains('"');
        is_code && VAGUE_NAMES.iter().any(|vague| name.contains(vague))
    };
    assert_none(
        &offenders(sources(&CRATES), |text| text.lines().any(is_vague)),
        "a vague name",
    );
}

#[test]
fn no_service_depends_on_a_service() {
    let mut offenders = Vec::new();
    for service in SERVICES {
        let manifest = read(root().join(service).join("Cargo.toml"));
        let dependencies = manifest
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        for other in SERVICES.iter().filter(|other| **other != service) {
            if dependencies.contains(&format!("\n{other}.")) {
                offenders.push(format!("{service} depends on {other}"));
            }
        }
    }
    assert_none(
        &offenders,
        "services meet in PostgreSQL, Kafka and Elasticsearch only",
    );
}

#[test]
fn schemas_does_no_io() {
    let manifest = read(root().join("schemas/Cargo.toml"));
    let dependencies = manifest
        .split("[dev-dependencies]")
        .next()
        .unwrap_or_default();
    for forbidden in [
        "tokio",
        "reqwest",
        "rdkafka",
        "actix",
        "elasticsearch",
        "tracing",
        "rand",
    ] {
        assert!(
            !dependencies.contains(&format!("\n{forbidden}")),
            "schemas depends on {forbidden}"
        );
    }
}

#[test]
fn only_command_svc_writes_to_postgresql() {
    let writes = |text: &str| {
        let text = text.to_lowercase();
        ["insert into ", "delete from ", "\nupdate ", "\"update "]
            .iter()
            .any(|statement| text.contains(statement))
    };
    let mut read_only = Vec::new();
    for service in ["projector", "query-svc"] {
        let folder = root().join(service).join("src");
        read_only.extend(files(&folder, ".rs"));
        read_only.extend(files(&folder, ".sql"));
    }
    assert_none(&offenders(read_only, writes), "a write outside command-svc");
}

#[test]
fn only_the_projector_writes_to_elasticsearch() {
    let writes = |text: &str| {
        [
            ".bulk(",
            ".create_index(",
            ".delete_index(",
            ".update_aliases(",
            ".put_alias(",
        ]
        .iter()
        .any(|call| text.contains(call))
    };
    let readers = ["command-svc", "query-svc"];
    let sources = readers
        .iter()
        .flat_map(|name| files(&root().join(name).join("src"), ".rs"));
    assert_none(
        &offenders(sources.collect(), writes),
        "a write outside the projector",
    );
}

#[test]
fn every_decision_is_in_the_index() {
    let folder = root().join("docs/adr");
    let index = read(folder.join("README.md"));
    let decisions = files(&folder, ".md").into_iter();
    let names = decisions.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let missing: Vec<String> = names
        .filter(|name| name != "README.md" && !index.contains(name.as_str()))
        .collect();
    assert_none(&missing, "not in docs/adr/README.md");
}

#[test]
fn every_alert_has_a_runbook() {
    let alerts = read(root().join("infra/monitoring/alerts.yaml"));
    let named = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let named: BTreeSet<&str> = named.map(str::trim).collect();
    assert!(!named.is_empty(), "there are no alerts");
    let runbooks = root().join("docs/runbooks");
    let missing: Vec<String> = named
        .iter()
        .filter(|alert| !runbooks.join(format!("{alert}.md")).is_file())
        .map(|alert| (*alert).to_owned())
        .collect();
    assert_none(&missing, "no docs/runbooks/<alert>.md");
}

#[test]
fn every_metric_that_an_alert_asks_for_exists() {
    let alerts = read(root().join("infra/monitoring/alerts.yaml"));
    let sources: String = sources(&["chassis", "command-svc", "projector", "query-svc"])
        .into_iter()
        .map(read)
        .collect();
    let words = alerts.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let metrics: BTreeSet<&str> = words.filter(|word| word.starts_with("tidemark_")).collect();
    let missing: Vec<String> = metrics
        .into_iter()
        .filter(|metric| {
            let base = metric
                .trim_end_matches("_bucket")
                .trim_end_matches("_count");
            !sources.contains(&format!("\"{base}\""))
        })
        .map(str::to_owned)
        .collect();
    assert_none(&missing, "no such metric");
}

/// `UPDATE_OPENAPI=1 cargo test -p e2e --test tidy` writes them anew.
#[test]
fn the_committed_openapi_documents_are_what_the_services_serve() {
    let served = [
        ("command-svc", command_svc::http::openapi().to_pretty_json()),
        ("query-svc", query_svc::http::openapi().to_pretty_json()),
        ("projector", projector::http::openapi().to_pretty_json()),
    ];
    for (service, document) in served {
        let document = document.expect("a document is JSON") + "\n";
        let path = root().join(format!("docs/openapi/{service}.json"));
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(&path, &document).expect("the folder can be written to");
        }
        assert!(read(&path) == document, "{} has drifted", path.display());
    }
}

/// What a guide has in backquotes that is a path, and whether it always is there; `<view>` or
/// `<aggregate>` stands for a name.
fn paths_of_the_guide(name: &str) -> BTreeMap<String, bool> {
    let guide = read(root().join("docs").join(name));
    let parts: Vec<&str> = guide.split('`').skip(1).collect();
    let quoted = parts.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let paths = quoted.filter(|(text, _)| text.contains('/') || text.ends_with(".md"));
    paths
        .map(|(path, after)| {
            (
                path.to_owned(),
                !after.trim_start_matches('*').starts_with(" (if "),
            )
        })
        .collect()
}

#[test]
fn every_file_that_the_guide_to_a_new_view_names_exists_for_every_view() {
    let named = paths_of_the_guide("adding-a-view.md").into_iter();
    let named = named.filter_map(|(path, is_always_there)| is_always_there.then_some(path));
    let named = named.flat_map(|path| View::ALL.map(|view| path.replace("<view>", view.name())));
    let missing: Vec<String> = named.filter(|path| !root().join(path).exists()).collect();
    assert_none(&missing, "docs/adding-a-view.md names what is not there");
}

#[test]
fn every_file_that_the_guide_to_a_new_aggregate_names_exists_for_every_aggregate() {
    let domain = files(&root().join("command-svc/src/domain"), ".rs").into_iter();
    let aggregates = domain.filter(|path| read(path).contains("impl Aggregate for"));
    let name = |path: PathBuf| path.file_stem()?.to_str().map(str::to_owned);
    let aggregates: Vec<String> = aggregates.filter_map(name).collect();
    assert!(aggregates.contains(&"stock".to_owned()), "{aggregates:?}");
    let named = paths_of_the_guide("adding-an-aggregate.md").into_keys();
    let of_each = |path: String| {
        let aggregates = aggregates.iter();
        let paths = aggregates.map(move |aggregate| path.replace("<aggregate>", aggregate));
        paths.collect::<Vec<_>>()
    };
    let named = named.flat_map(of_each);
    let is_missing = |path: &String| !path.contains('<') && !root().join(path).exists();
    let missing: Vec<String> = named.filter(is_missing).collect();
    assert_none(
        &missing,
        "docs/adding-an-aggregate.md names what is not there",
    );
}

#[test]
fn every_file_that_carries_the_name_of_a_view_is_in_the_guide_to_a_new_view() {
    let named = paths_of_the_guide("adding-a-view.md");
    let crates = ["schemas", "projector", "query-svc"];
    let mut missing = Vec::new();
    for file in crates.iter().flat_map(|name| files(&root().join(name), "")) {
        let relative = file.strip_prefix(root()).expect("it was found there");
        let relative = relative.to_string_lossy();
        let pattern = View::ALL.iter().fold(format!("/{relative}"), |path, view| {
            let name = view.name();
            path.replace(&format!("/{name}/"), "/<view>/")
                .replace(&format!("/{name}."), "/<view>.")
        });
        if pattern.contains("<view>") && !named.contains_key(&pattern[1..]) {
            missing.push(relative.into_owned());
        }
    }
    assert_none(&missing, "docs/adding-a-view.md does not name it");
}

#[test]
fn nothing_but_their_table_tells_views_apart() {
    let tells_apart = |text: &str| {
        let arms = text.lines().filter_map(|line| line.split_once("=>"));
        let patterns = arms.filter_map(|(pattern, _)| pattern.split(" if ").next());
        let names = View::ALL.map(|view| format!("{view:?}"));
        patterns.into_iter().any(|pattern| {
            let names_it = |name| {
                pattern.contains(&format!("View::{name}"))
                    || pattern.contains(&format!("Document::{name}"))
            };
            names.iter().any(names_it)
        })
    };
    let sources = CRATES
        .iter()
        .flat_map(|name| files(&root().join(name).join("src"), ".rs"))
        .filter(|path| !path.ends_with("tests.rs"));
    assert_none(
        &offenders(sources.collect(), tells_apart),
        "a match over views: put what differs into ViewDocument",
    );
}
