//! What is missing on the machine is named, with the way to get it.

use std::{fs, path::PathBuf, process::Command};

use testbed::artifact::jdk::find_among;

/// A folder that looks like a Java of some version.
struct Java(PathBuf);

impl Java {
    fn new(name: &str, version: &str, tools: &[&str]) -> Self {
        let name = format!("tidemark-{name}-{}", std::process::id());
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::write(
            home.join("release"),
            format!("JAVA_VERSION=\"{version}\"\n"),
        )
        .unwrap();
        for tool in tools {
            fs::write(home.join("bin").join(tool), "").unwrap();
        }
        Self(home)
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_missing_jdk_is_named_with_what_was_found_instead() {
    let old = Java::new("old", "17.0.9", &["java", "javac"]);
    let runtime = Java::new("runtime", "25.0.1", &["java"]);
    let candidates = vec![old.0.clone(), runtime.0.clone()];
    let message = find_among(None, candidates).unwrap_err().to_string();
    for part in [
        "JDK",
        "21",
        "javac",
        "JAVA_HOME",
        "(Java 17)",
        "(Java 25 without javac)",
    ] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}

#[test]
fn java_home_is_preferred_and_otherwise_the_oldest_that_will_do() {
    let (a, b) = (["java", "javac"], ["java", "javac"]);
    let (newer, older) = (Java::new("n", "25.0.1", &a), Java::new("o", "21.0.2", &b));
    let candidates = || vec![newer.0.clone(), older.0.clone()];
    assert_eq!(find_among(None, candidates()).unwrap().home, older.0);
    assert_eq!(
        find_among(Some(&newer.0), candidates()).unwrap().home,
        newer.0
    );
}

#[test]
fn a_missing_maven_is_named() {
    let cache = std::env::temp_dir().join(format!("tidemark-cache-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .arg("shared")
        .env("TIDEMARK_CACHE", &cache)
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    fs::remove_dir_all(cache).unwrap();
    assert!(!output.status.success());
    assert!(message.contains("mvn is not on the PATH"), "{message}");
}
