//! What `tidemark up` has started: the file by which every other command finds it.
//!
//! The file names processes by identity, so an entry of a process that is gone never means another.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    environment,
    service::{Running, Service, Surroundings},
};

/// The database of a Tidemark that has servers of its own.
pub const DATABASE: &str = "tidemark";

/// The servers in use and the services that were started beside them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    pub surroundings: Surroundings,
    pub services: Vec<Running>,
}

impl Deployment {
    pub fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings,
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
        let file = file(dir);
        if !file.exists() {
            return Ok(None);
        }
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let deployment = serde_json::from_slice(&text);
        deployment
            .map(Some)
            .with_context(|| format!("reading {}", file.display()))
    }

    /// Replaces the note, so that readers never see half of it.
    pub fn save(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        let new = file(dir).with_extension("json.new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&new, file(dir)).context("noting what was started")
    }

    pub fn forget(dir: &Path) -> Result<()> {
        match fs::remove_file(file(dir)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("forgetting what was started")
            }
            _ => Ok(()),
        }
    }

    /// The replicas of a service that live, the first one first.
    pub fn replicas(&self, service: Service) -> impl Iterator<Item = &Running> {
        let own = self.services.iter().filter(move |of| of.service == service);
        own.filter(|running| running.is_alive())
    }

    /// Where the first replica of a service is.
    pub fn url(&self, service: Service) -> Result<&str> {
        let name = service.name();
        let first = self.replicas(service).next();
        let url = first.map(|running| running.url.as_str());
        url.with_context(|| format!("no {name} is running: `tidemark up` starts it"))
    }
}

/// Held by whoever starts or ends services.
pub(super) async fn turn(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let path = dir.join("services.lock");
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    let lock = move || file.lock().map(|()| file);
    tokio::task::spawn_blocking(lock)
        .await?
        .context("waiting for another `tidemark` to finish")
}

fn file(dir: &Path) -> PathBuf {
    dir.join("services.json")
}
