//! Builds and installs the analysis plugin (`testbed/es-plugin`) into an unpacked Elasticsearch.
//! The folder's name carries a hash of the plugin's source, so a changed plugin is a new
//! installation beside the old one, which may be in use.

use std::{fmt::Write, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::{jdk::Jdk, maven::ELASTICSEARCH_VERSION};

const NAME: &str = "tidemark-analysis";

macro_rules! sources {
    ($($file:literal),+ $(,)?) => {
        &[$((
            $file,
            include_str!(concat!("../../es-plugin/src/dev/tidemark/analysis/", $file)),
        )),+]
    };
}

const DESCRIPTOR: &str = include_str!("../../es-plugin/plugin-descriptor.properties");
const SOURCES: &[(&str, &str)] = sources![
    "CharFilters.java",
    "EnglishAnalyzerProvider.java",
    "Filter.java",
    "Options.java",
    "StockAnalysisPlugin.java",
    "SynonymFilters.java",
    "TokenFilters.java",
    "Tokenizers.java",
    "UniqueFilter.java",
    "WordDelimiters.java",
];

/// The name of the folder in the cache.
pub(super) fn folder() -> String {
    let mut hash = Sha256::new();
    hash.update(DESCRIPTOR);
    for (name, text) in SOURCES {
        hash.update(name);
        hash.update(text);
    }
    let mut hex = String::new();
    for byte in hash.finalize().iter().take(5) {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    format!("elasticsearch-{ELASTICSEARCH_VERSION}-{hex}")
}

/// Compiles the plugin against the server's own classes and puts it in place.
pub(super) fn install_plugin(jdk: &Jdk, home: &Path) -> Result<()> {
    let work = home.join("plugin-build");
    let (source, classes) = (work.join("source"), work.join("classes"));
    fs::create_dir_all(&source)?;
    let mut javac = Command::new(jdk.tool("javac"));
    javac.args(["-proc:none", "-nowarn", "--release", "21", "-cp"]);
    javac.arg(home.join("lib/*")).arg("-d").arg(&classes);
    for (name, text) in SOURCES {
        let file = source.join(name);
        fs::write(&file, text)?;
        javac.arg(file);
    }
    run(javac).context("compiling the analysis plugin")?;
    let plugin = home.join("plugins").join(NAME);
    fs::create_dir_all(&plugin)?;
    fs::write(plugin.join("plugin-descriptor.properties"), DESCRIPTOR)?;
    let mut jar = Command::new(jdk.tool("jar"));
    jar.arg("--create")
        .arg("--file")
        .arg(plugin.join(format!("{NAME}.jar")));
    jar.arg("-C").arg(&classes).arg(".");
    run(jar).context("packing the analysis plugin")?;
    fs::remove_dir_all(work)?;
    Ok(())
}

fn run(mut command: Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed: {text}",
        command.get_program().display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DESCRIPTOR, ELASTICSEARCH_VERSION, SOURCES};

    #[test]
    fn the_descriptor_names_the_server_that_is_fetched() {
        assert!(DESCRIPTOR.contains(&format!("elasticsearch.version={ELASTICSEARCH_VERSION}\n")));
    }

    #[test]
    fn every_source_file_is_part_of_the_plugin() {
        let dir = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/es-plugin/src/dev/tidemark/analysis"
        );
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), SOURCES.len());
    }
}
