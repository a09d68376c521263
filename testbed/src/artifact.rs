//! The servers' programs: fetched by Maven coordinates, unpacked once into the cache.
//! A folder appears under its final name only when it is complete, and only one process at a time
//! unpacks, so a process that finds the folder may use it without further checks.

mod elasticsearch;
pub mod jdk;
mod maven;
mod unpack;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use self::jdk::Jdk;
use crate::{environment, output::Step, user};

const GIB: u64 = 1 << 30;
const DISK_NEEDED: u64 = 3 * GIB;

/// Where each server's programs are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Artifacts {
    pub(crate) jdk: PathBuf,
    pub(crate) postgres: PathBuf,
    pub(crate) kafka: PathBuf,
    pub(crate) elasticsearch: PathBuf,
}

impl Artifacts {
    fn complete(&self) -> bool {
        [&self.postgres, &self.kafka, &self.elasticsearch]
            .iter()
            .all(|dir| dir.is_dir())
    }
}

/// Fetches and unpacks what the cache lacks; a moment's work when it lacks nothing.
pub(crate) async fn ensure() -> Result<Artifacts> {
    tokio::task::spawn_blocking(ensure_blocking)
        .await
        .context("unpacking the servers")?
}

fn ensure_blocking() -> Result<Artifacts> {
    let cache = environment::cache_dir()?;
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    user::check_reachable(user::ServerUser::current()?, &cache)?;
    let jdk = jdk::find()?;
    let artifacts = Artifacts {
        jdk: jdk.home.clone(),
        postgres: cache.join(format!("postgres-{}", maven::POSTGRES_VERSION)),
        kafka: cache.join(format!("kafka-{}", maven::KAFKA_VERSION)),
        elasticsearch: cache.join(elasticsearch::folder()),
    };
    if !artifacts.complete() {
        fill(&cache, &jdk, &artifacts)?;
    }
    Ok(artifacts)
}

fn fill(cache: &Path, jdk: &Jdk, artifacts: &Artifacts) -> Result<()> {
    let _lock = lock(&cache.join("lock"))?;
    check_disk(cache)?;
    remove_abandoned(cache)?;
    let fetch = maven::Fetch::new(jdk)?;
    install(&artifacts.postgres, |dir| {
        let jar = fetch.postgres(dir)?;
        unpack::postgres(&jar, dir)
    })?;
    install(&artifacts.kafka, |dir| fetch.kafka(dir))?;
    install(&artifacts.elasticsearch, |dir| {
        let zip = fetch.elasticsearch(dir)?;
        unpack::elasticsearch(&zip, dir)?;
        elasticsearch::install_plugin(jdk, dir)
    })
}

/// Runs `make` on a folder of another name, which takes its own when complete.
fn install(dir: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let name = dir
        .file_name()
        .context("a folder without a name")?
        .to_string_lossy();
    let staging = dir.with_file_name(format!("incomplete-{name}"));
    fs::create_dir_all(&staging)?;
    let step = Step::begin(format!("fetching and unpacking {name}"));
    make(&staging).with_context(|| format!("installing {name}"))?;
    user::make_readable(&staging)?;
    fs::rename(&staging, dir).with_context(|| format!("installing {name}"))?;
    step.done();
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("opening {}", path.display()))?;
    if file.try_lock().is_err() {
        let step = Step::begin("another process is unpacking the servers, waiting for it");
        file.lock()
            .with_context(|| format!("locking {}", path.display()))?;
        step.done();
    }
    Ok(file)
}

fn check_disk(cache: &Path) -> Result<()> {
    let stat = nix::sys::statvfs::statvfs(cache)
        .with_context(|| format!("asking for the free space at {}", cache.display()))?;
    let free = stat.blocks_available() * stat.fragment_size();
    ensure!(
        free >= DISK_NEEDED,
        "{} has {:.1} GB free, the servers need 3 GB: make room or choose another folder with \
         TIDEMARK_CACHE",
        cache.display(),
        free as f64 / GIB as f64
    );
    Ok(())
}

/// Under the lock nobody else is at work, so what is incomplete is abandoned.
fn remove_abandoned(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("incomplete-")
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
