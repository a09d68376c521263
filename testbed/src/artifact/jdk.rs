//! Finds a JDK that the servers can run on and that can compile the plugin: `JAVA_HOME` if it is
//! new enough, else the oldest that is (the servers were tested with those, not with later ones).

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::environment;

/// Elasticsearch 9 needs it; Kafka is content with less.
const OLDEST: u32 = 21;

/// A Java development kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    pub home: PathBuf,
    pub version: u32,
}

impl Jdk {
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// Looks in `JAVA_HOME`, the usual folders and behind the `java` on the path.
pub fn find() -> Result<Jdk> {
    let preferred = environment::java_home();
    find_among(preferred.as_deref(), candidates())
}

/// Chooses among folders; the error says what is missing and how to get it.
pub fn find_among(preferred: Option<&Path>, candidates: Vec<PathBuf>) -> Result<Jdk> {
    let usable = |jdk: &Jdk| jdk.version >= OLDEST && jdk.tool("javac").is_file();
    if let Some(jdk) = preferred.and_then(inspect).filter(usable) {
        return Ok(jdk);
    }
    let mut found: Vec<Jdk> = preferred
        .into_iter()
        .chain(candidates.iter().map(PathBuf::as_path))
        .filter_map(inspect)
        .collect();
    found.sort_by_key(|jdk| jdk.version);
    match found.iter().find(|jdk| usable(jdk)) {
        Some(jdk) => Ok(jdk.clone()),
        None => bail!("{}", explain(&found)),
    }
}

fn explain(found: &[Jdk]) -> String {
    let seen: Vec<String> = found
        .iter()
        .map(|jdk| {
            let javac = if jdk.tool("javac").is_file() {
                ""
            } else {
                " without javac"
            };
            format!("{} (Java {}{javac})", jdk.home.display(), jdk.version)
        })
        .collect();
    let seen = if seen.is_empty() {
        "no Java at all".to_owned()
    } else {
        seen.join(", ")
    };
    format!(
        "no JDK of version {OLDEST} or newer with javac was found, which Kafka and Elasticsearch \
         need; found: {seen}. Install one (Debian: apt-get install openjdk-{OLDEST}-jdk-headless, \
         or a Temurin build) and set JAVA_HOME if it is not below /usr/lib/jvm"
    )
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::from("/usr/lib/jvm"), PathBuf::from("/opt/java")];
    if let Some(home) = environment::home() {
        dirs.push(home.join(".sdkman/candidates/java"));
        dirs.push(home.join(".jdks"));
    }
    let mut homes: Vec<PathBuf> = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect();
    let on_path = environment::program("java").and_then(|java| java.canonicalize().ok());
    homes.extend(on_path.and_then(|java| Some(java.parent()?.parent()?.to_owned())));
    homes
}

/// The `release` file says the version without starting Java.
fn inspect(home: &Path) -> Option<Jdk> {
    let release = fs::read_to_string(home.join("release")).ok()?;
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    let version = major(version.trim_matches('"')).ok()?;
    home.join("bin/java").is_file().then(|| Jdk {
        home: home.to_owned(),
        version,
    })
}

/// `1.8.0_402` is 8, `25.0.1` is 25, `26-ea` is 26.
fn major(version: &str) -> Result<u32> {
    let version = version.strip_prefix("1.").unwrap_or(version);
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .with_context(|| format!("{version} is no Java version"))
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read_from_every_style() {
        assert_eq!(major("1.8.0_402").unwrap(), 8);
        assert_eq!(major("25.0.1").unwrap(), 25);
        assert_eq!(major("26-ea").unwrap(), 26);
        assert!(major("unknown").is_err());
    }
}
