//! The stack of `tidemark up`: fixed ports, data that stays, runs until `tidemark down`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::{
    client,
    spec::{Folder, Keep, Lifetime, PROTOCOL, Phase, Spec},
    supervisor,
};
use crate::{
    artifact, endpoints::Endpoints, environment, output, ports::Ports, process, restart::Restarts,
    server, server::Server,
};

/// The slowest clean end of a server, and some.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

/// Servers that are started in one process and found again by all others.
#[derive(Debug)]
pub struct LocalStack {
    folder: Folder,
    ports: Ports,
    /// Whether they end with the process, and thread, that starts them.
    attached: bool,
}

/// What runs of the servers.
#[derive(Debug, Default)]
pub struct LocalStatus {
    /// Empty when nothing was started.
    pub servers: Vec<LocalServer>,
    /// Whether their supervisor has ended; not so where there never was one.
    pub unsupervised: bool,
}

/// One server.
#[derive(Debug)]
pub struct LocalServer {
    pub server: Server,
    pub url: String,
    pub ready: bool,
    /// None while it is down.
    pub pid: Option<i32>,
    pub restarts: Restarts,
}

impl LocalStack {
    /// The one of `tidemark up`.
    pub fn of_user() -> Result<Self> {
        Ok(Self {
            folder: Folder::new(environment::state_dir()?.join("stack")),
            ports: Ports::FIXED,
            attached: false,
        })
    }

    /// One that ends with the thread that starts it.
    pub fn attached(dir: PathBuf, ports: Ports) -> Self {
        Self {
            folder: Folder::new(dir),
            ports,
            attached: true,
        }
    }

    /// Starts the servers that do not run, and waits until all answer.
    pub async fn up(&self) -> Result<Endpoints> {
        let folder = &self.folder;
        let artifacts = artifact::ensure().await?;
        fs::create_dir_all(folder.path())
            .with_context(|| format!("creating {}", folder.path().display()))?;
        let _turn = client::locked(folder.turn()?, false).await?;
        let mut child = None;
        if folder.is_supervised()? {
            match folder.state() {
                Some(state) if state.is_up() => {
                    output::note("the servers are running already");
                    return Ok(state.ports.into());
                }
                Some(state) if state.protocol == PROTOCOL => {
                    state.supervisor.signal(Signal::SIGHUP);
                }
                _ => {}
            }
        } else {
            let spec = Spec {
                dir: folder.path().to_owned(),
                ports: self.ports,
                artifacts,
                lifetime: Lifetime::UntilTerminated,
                keep: Keep::Everything,
                security: None,
                second_elasticsearch: false,
            };
            child = Some(client::spawn(&spec, self.attached).await?);
        }
        let state = client::await_ready(folder, child.as_mut()).await?;
        Ok(state.ports.into())
    }

    /// Ends the servers in good order; whether there was anything to end.
    pub async fn down(&self) -> Result<bool> {
        let folder = &self.folder;
        if !folder.is_supervised()? {
            let left = !process::leftovers(folder.path()).is_empty();
            supervisor::end_leftovers(folder).await;
            return Ok(left);
        }
        let state = folder
            .state()
            .context("the servers are only just being started")?;
        state.supervisor.signal(Signal::SIGTERM);
        let gone = process::wait_gone(&[state.supervisor], DOWN_LIMIT).await;
        ensure!(
            gone,
            "the supervisor (pid {}) does not end",
            state.supervisor.pid
        );
        Ok(true)
    }

    /// Deletes the data of a stack that is down.
    pub fn wipe(&self) -> Result<()> {
        ensure!(!self.folder.is_supervised()?, "the servers are running");
        let data = self.folder.data();
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("deleting {}", data.display()))?;
        }
        Ok(())
    }

    /// What runs, and whether it answers.
    pub async fn status(&self) -> Result<LocalStatus> {
        let Some(state) = self
            .folder
            .state()
            .filter(|state| state.phase == Phase::Ready)
        else {
            return Ok(LocalStatus::default());
        };
        let endpoints = Endpoints::from(state.ports);
        let mut servers = Vec::new();
        for server in Server::ALL {
            let url = match server {
                Server::Postgres => &endpoints.postgres,
                Server::Kafka => &endpoints.kafka,
                Server::Elasticsearch | Server::SecondElasticsearch => &endpoints.elasticsearch,
            };
            let living = state.servers.get(&server).filter(|one| one.is_alive());
            servers.push(LocalServer {
                server,
                url: url.clone(),
                ready: server::check(server, &endpoints).await.is_ok(),
                pid: living.map(|one| one.pid),
                restarts: state.restarts.get(&server).cloned().unwrap_or_default(),
            });
        }
        Ok(LocalStatus {
            servers,
            unsupervised: !state.supervisor.is_alive(),
        })
    }

    /// The process that the servers belong to, while it lives.
    pub fn supervisor_pid(&self) -> Option<i32> {
        let state = self.folder.state()?;
        state.supervisor.is_alive().then_some(state.supervisor.pid)
    }
}
