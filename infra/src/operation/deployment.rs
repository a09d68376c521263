//! What `tidemark up` was asked to run and what runs: the two files by which `up`, the watcher and
//! every other command agree.
//!
//! They name processes by identity, so an entry of a process that is gone never means another.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use testbed::{environment, namespace::Surroundings, process::Identity, restart::Restarts};

use crate::service::{Running, Service};

/// The database of a Tidemark that has servers of its own.
pub const DATABASE: &str = "tidemark";

/// What shall run; written by `tidemark up`, read by the watcher.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) surroundings: Surroundings,
    /// The folder of the services' programs.
    pub(crate) programs: PathBuf,
    /// Whether the services end with the watcher, however it ends.
    pub(crate) attached: bool,
    pub(crate) services: Vec<Slot>,
}

/// One service that shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) service: Service,
    pub(crate) replica: u16,
    pub(crate) port: u16,
}

impl Plan {
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>> {
        read(&Self::file(dir))
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        replace(&Self::file(dir), self)
    }

    pub(crate) fn forget(dir: &Path) -> Result<()> {
        remove(&Self::file(dir))
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("plan.json")
    }
}

/// The servers in use and the services that are watched beside them; written by the watcher.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    pub surroundings: Surroundings,
    /// The process that starts again what ends by itself.
    #[serde(default)]
    pub(crate) watcher: Option<Identity>,
    pub services: Vec<Watched>,
}

/// A service that shall run, and how it fares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watched {
    pub service: Service,
    pub replica: u16,
    pub url: String,
    /// Its process, or the one that ran last; none before the first start.
    pub(crate) identity: Option<Identity>,
    #[serde(default)]
    pub restarts: Restarts,
}

impl Watched {
    /// One that has not been started yet.
    pub(crate) fn new(slot: Slot) -> Self {
        Self {
            service: slot.service,
            replica: slot.replica,
            url: format!("http://127.0.0.1:{}", slot.port),
            identity: None,
            restarts: Restarts::default(),
        }
    }

    /// Its process while it lives.
    pub fn running(&self) -> Option<Running> {
        let identity = self.identity.filter(|identity| identity.is_alive())?;
        Some(Running {
            service: self.service,
            replica: self.replica,
            url: self.url.clone(),
            identity,
        })
    }
}

impl Deployment {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings,
            watcher: None,
            services: Vec::new(),
        }
    }

    /// What `tidemark up` has started; an error says that it was not asked to.
    pub fn current() -> Result<Self> {
        let dir = environment::state_dir()?;
        Self::load(&dir)?.context("nothing is running here: `tidemark up` starts it")
    }

    /// What is noted in this folder, if anything is.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        read(&Self::file(dir))
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        replace(&Self::file(dir), self)
    }

    pub(crate) fn forget(dir: &Path) -> Result<()> {
        remove(&Self::file(dir))
    }

    /// The watcher's pid while it lives.
    pub fn watcher(&self) -> Option<i32> {
        let living = self.watcher.filter(|watcher| watcher.is_alive());
        living.map(|watcher| watcher.pid)
    }

    /// The entry of one replica.
    pub fn watched(&self, service: Service, replica: u16) -> Option<&Watched> {
        let mut all = self.services.iter();
        all.find(|of| (of.service, of.replica) == (service, replica))
    }

    /// The replicas of a service that live, the first one first.
    pub fn replicas(&self, service: Service) -> impl Iterator<Item = &Watched> {
        let own = self.services.iter().filter(move |of| of.service == service);
        own.filter(|watched| watched.running().is_some())
    }

    /// Where the first replica of a service is.
    pub fn url(&self, service: Service) -> Result<&str> {
        let name = service.name();
        let first = self.replicas(service).next();
        let url = first.map(|running| running.url.as_str());
        url.with_context(|| format!("no {name} is running: `tidemark up` starts it"))
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("services.json")
    }
}

/// Held by a process that starts or ends services.
pub(super) async fn turn(dir: &Path) -> Result<File> {
    let file = lock_file(dir, "services.lock")?;
    let lock = move || file.lock().map(|()| file);
    tokio::task::spawn_blocking(lock)
        .await?
        .context("waiting for another `tidemark` to finish")
}

/// Held by the watcher as long as it lives; an error where another one does.
pub(super) fn watch(dir: &Path) -> Result<File> {
    let file = lock_file(dir, "watcher.lock")?;
    file.try_lock()
        .with_context(|| format!("the services of {} are watched already", dir.display()))?;
    Ok(file)
}

fn lock_file(dir: &Path, name: &str) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let path = dir.join(name);
    File::create(&path).with_context(|| format!("opening {}", path.display()))
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    let text = match fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("reading {}", file.display()))?,
    };
    let parsed = serde_json::from_slice(&text);
    parsed.with_context(|| format!("reading {}", file.display()))
}

/// Readers never see half of it.
fn replace<T: Serialize>(file: &Path, value: &T) -> Result<()> {
    let new = file.with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(value)?)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("writing {}", file.display()))
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("removing {}", file.display())),
    }
}
