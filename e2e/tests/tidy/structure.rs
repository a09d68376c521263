//! Who names whom: packages in one direction, and modules of a package without circles.

use std::collections::{BTreeMap, BTreeSet};

use super::{CRATES, assert_none, files, read, root};

/// Who is named by whom.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Everything that is named from here, directly or through others.
fn reached<'a>(graph: &'a Graph, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = graph
        .get(from)
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    while let Some(name) = waiting.pop() {
        if reached.insert(name) {
            waiting.extend(graph.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

/// Our packages in a section of a manifest.
fn packages(manifest: &str, section: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| *line != section).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split(['.', ' ', '=']).next()?.to_owned()));
    names
        .filter(|name| CRATES.contains(&name.as_str()))
        .collect()
}

#[test]
fn no_package_is_tested_with_one_that_is_built_on_it() {
    let manifest = |name: &str| read(root().join(name).join("Cargo.toml"));
    let built_on = CRATES.map(|name| {
        let names = packages(&manifest(name), "[dependencies]");
        (name.to_owned(), names)
    });
    let built_on = Graph::from(built_on);
    let mut offenders = Vec::new();
    for name in CRATES {
        for tool in packages(&manifest(name), "[dev-dependencies]") {
            if reached(&built_on, &tool).contains(name) {
                offenders.push(format!("{name} is tested with {tool}"));
            }
        }
    }
    assert_none(&offenders, "tests need what is below, never what is above");
    assert!(
        !built_on["e2e"].is_empty(),
        "the manifests are not understood"
    );
}

/// The source without its tests and comments.
fn code(text: &str) -> String {
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first names of paths that begin with `crate::`, also in braces.
fn named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let mut names = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let Some(list) = path.strip_prefix('{') else {
            names.insert(word(path));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in list.char_indices() {
            if depth == 0 && begins && (c.is_alphanumeric() || c == '_') {
                names.insert(word(&list[at..]));
                begins = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ => {}
            }
        }
    }
    names
}

/// The modules directly below a package's root, each with its folder, and which of them it names.
fn modules(package: &str) -> Graph {
    let sources = root().join(package).join("src");
    let mut graph = Graph::new();
    for path in files(&sources, ".rs") {
        let below = path.strip_prefix(&sources).expect("it was found there");
        let is_test = below.to_string_lossy().contains("tests");
        let first = below.components().next().expect("it has a name");
        let module = first.as_os_str().to_string_lossy().replace(".rs", "");
        if is_test || module == "lib" || module == "main" {
            continue;
        }
        let names = named(&code(&read(&path)));
        graph.entry(module).or_default().extend(names);
    }
    let all: BTreeSet<String> = graph.keys().cloned().collect();
    for (module, names) in &mut graph {
        names.retain(|name| all.contains(name) && name != module);
    }
    graph
}

#[test]
fn no_module_names_one_that_names_it() {
    let mut offenders = Vec::new();
    let mut arrows = 0;
    for package in CRATES {
        let graph = modules(package);
        arrows += graph.values().map(BTreeSet::len).sum::<usize>();
        for module in graph.keys() {
            if reached(&graph, module).contains(module.as_str()) {
                offenders.push(format!("{package}: {module}"));
            }
        }
    }
    assert_none(&offenders, "modules of a circle");
    assert!(arrows > 100, "the sources are not understood: {arrows}");
}

#[test]
fn paths_are_found_alone_and_in_braces() {
    let code = "use crate::board::{Board, Heads};\nuse crate::{cache, sink::{Op, Sink}, fill};
        let id = crate::clock::now();";
    let names: Vec<String> = named(code).into_iter().collect();
    assert_eq!(names, ["board", "cache", "clock", "fill", "sink"]);
}
