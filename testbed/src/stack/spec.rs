//! What a supervisor is told to run, and what it tells about it: the file `stack.json`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(crate) use crate::program::PROTOCOL;
use crate::{
    artifact::Artifacts, ports::Ports, process::Identity, restart::Restarts, security::Security,
    server::Server,
};

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) dir: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) artifacts: Artifacts,
    pub(crate) lifetime: Lifetime,
    /// What to delete afterwards.
    pub(crate) keep: Keep,
    /// Where the servers are to let nobody in without it.
    pub(crate) security: Option<Security>,
    /// Whether a second node of Elasticsearch may join the first.
    pub(crate) second_elasticsearch: bool,
}

/// When the servers are to end, beside on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lifetime {
    /// With the owner, who holds the other end of stdin.
    Owner,
    /// When nobody has held a lease for a minute.
    Leases,
    /// Servers that end by themselves are started again.
    UntilTerminated,
}

/// What stays of a stack that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Keep {
    Everything,
    /// The logs and locks: the folder is used again.
    Logs,
    Nothing,
}

/// How far a stack is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Failed(String),
}

/// The content of `stack.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) protocol: u32,
    pub(crate) supervisor: Identity,
    pub(crate) ports: Ports,
    pub(crate) phase: Phase,
    /// Those that run.
    pub(crate) servers: BTreeMap<Server, Identity>,
    /// Of those that were started again.
    #[serde(default)]
    pub(crate) restarts: BTreeMap<Server, Restarts>,
}

impl State {
    /// Whether all servers were ready, and live.
    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Ready && Server::ALL.into_iter().all(|server| self.lives(server))
    }

    pub(crate) fn lives(&self, server: Server) -> bool {
        self.servers.get(&server).is_some_and(|one| one.is_alive())
    }
}

/// The files of a stack's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Held, shared, by those who use the stack.
    pub(crate) fn lease(&self) -> Result<File> {
        open_lock(&self.0.join("lease"))
    }

    /// Held by a process that starts or ends the stack's supervisor.
    pub(crate) fn turn(&self) -> Result<File> {
        open_lock(&self.0.join("turn"))
    }

    /// Held by the supervisor as long as it runs.
    pub(crate) fn supervisor(&self) -> Result<File> {
        open_lock(&self.0.join("supervisor"))
    }

    pub(crate) fn is_supervised(&self) -> Result<bool> {
        Ok(self.path().is_dir() && self.supervisor()?.try_lock().is_err())
    }

    /// `None` when there is none that this build understands.
    pub(crate) fn state(&self) -> Option<State> {
        serde_json::from_slice(&fs::read(self.state_file()).ok()?).ok()
    }

    /// Replaces the file, so that readers never see half of it.
    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        let new = self.0.join("stack.json.new");
        fs::write(&new, serde_json::to_vec_pretty(state)?)?;
        fs::rename(&new, self.state_file()).context("writing the state of the stack")
    }

    pub(crate) fn remove_state(&self) {
        let _ = fs::remove_file(self.state_file());
    }

    fn state_file(&self) -> PathBuf {
        self.0.join("stack.json")
    }
}

fn open_lock(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}
