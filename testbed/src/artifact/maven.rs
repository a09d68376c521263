//! Fetches by Maven coordinates. Where from is the business of Maven's own settings; the versions
//! are fixed here, and Maven checks what it gets against the repository's checksums.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::jdk::Jdk;
use crate::environment;

pub(super) const POSTGRES_VERSION: &str = "18.6.0";
pub(super) const KAFKA_VERSION: &str = "4.4.0";
pub(super) const ELASTICSEARCH_VERSION: &str = "9.5.3";
/// The line that Kafka's own slf4j-api belongs to.
const SLF4J_VERSION: &str = "1.7.36";
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// A Maven that is there, and the Java to run it on.
#[derive(Debug)]
pub(super) struct Fetch {
    mvn: PathBuf,
    java_home: PathBuf,
}

impl Fetch {
    pub(super) fn new(jdk: &Jdk) -> Result<Self> {
        let mvn = environment::program("mvn").context(
            "mvn is not on the PATH; the servers are fetched with Apache Maven: install it \
             (Debian: apt-get install maven)",
        )?;
        Ok(Self {
            mvn,
            java_home: jdk.home.clone(),
        })
    }

    /// The jar that holds PostgreSQL.
    pub(super) fn postgres(&self, dir: &Path) -> Result<PathBuf> {
        let platform = match std::env::consts::ARCH {
            "x86_64" => "linux-amd64",
            "aarch64" => "linux-arm64v8",
            other => bail!("there is no PostgreSQL build for {other}"),
        };
        let artifact = format!("embedded-postgres-binaries-{platform}");
        self.copy(
            &format!("io.zonky.test.postgres:{artifact}:{POSTGRES_VERSION}:jar"),
            dir,
        )?;
        Ok(dir.join(format!("{artifact}-{POSTGRES_VERSION}.jar")))
    }

    /// The zip that holds Elasticsearch.
    pub(super) fn elasticsearch(&self, dir: &Path) -> Result<PathBuf> {
        let group = "org.elasticsearch.distribution.integ-test-zip";
        self.copy(
            &format!("{group}:elasticsearch:{ELASTICSEARCH_VERSION}:zip"),
            dir,
        )?;
        Ok(dir.join(format!("elasticsearch-{ELASTICSEARCH_VERSION}.zip")))
    }

    /// Kafka and all it needs at run time, as jars in `dir`.
    pub(super) fn kafka(&self, dir: &Path) -> Result<()> {
        let pom = dir.join("pom.xml");
        fs::write(&pom, kafka_pom())?;
        self.run(&[
            "-f".into(),
            pom.display().to_string(),
            format!("{PLUGIN}:copy-dependencies"),
            "-DincludeScope=runtime".into(),
            format!("-DoutputDirectory={}", dir.display()),
        ])
    }

    fn copy(&self, coordinates: &str, dir: &Path) -> Result<()> {
        self.run(&[
            format!("{PLUGIN}:copy"),
            format!("-Dartifact={coordinates}"),
            format!("-DoutputDirectory={}", dir.display()),
        ])
    }

    fn run(&self, args: &[String]) -> Result<()> {
        let output = Command::new(&self.mvn)
            .args(["-q", "-B"])
            .args(args)
            .env("JAVA_HOME", &self.java_home)
            .current_dir("/")
            .output()
            .context("running mvn")?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let head: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("ERROR"))
            .take(3)
            .collect();
        bail!(
            "mvn could not fetch {}: {}",
            args[args.len() - 2],
            head.join("\n")
        )
    }
}

fn kafka_pom() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>dev.tidemark</groupId><artifactId>kafka-runtime</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{}{}</dependencies></project>",
        dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        dependency("org.slf4j", "slf4j-simple", SLF4J_VERSION),
    )
}
