//! The stack of `tidemark up`: fixed ports, data that stays, runs until `tidemark down`.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::{
    client,
    endpoints::Endpoints,
    spec::{Folder, Keep, Lifetime, Phase, Spec},
    supervisor,
};
use crate::{
    artifact, environment, output, ports::Ports, process, restart::Restarts, server, server::Server,
};

/// The slowest clean end of a server, and some.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

/// What runs of the servers.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Empty when nothing was started.
    pub(crate) services: Vec<Service>,
    /// Whether their supervisor has ended; not so where there never was one.
    pub(crate) unsupervised: bool,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) ready: bool,
    pub(crate) restarts: Restarts,
}

/// Starts the servers unless they run, and waits until they answer.
pub(crate) async fn up() -> Result<Endpoints> {
    let folder = folder()?;
    let artifacts = artifact::ensure().await?;
    fs::create_dir_all(folder.path())
        .with_context(|| format!("creating {}", folder.path().display()))?;
    let _turn = client::locked(folder.turn()?, false).await?;
    let mut child = None;
    if folder.is_supervised()? {
        if let Some(state) = folder.state().filter(|state| state.phase == Phase::Ready) {
            output::note("the servers are running already");
            return Ok(state.ports.into());
        }
    } else {
        let spec = Spec {
            dir: folder.path().to_owned(),
            ports: Ports::FIXED,
            artifacts,
            lifetime: Lifetime::UntilTerminated,
            keep: Keep::Everything,
            security: None,
        };
        child = Some(client::spawn(&spec).await?);
    }
    let state = client::await_ready(&folder, child.as_mut()).await?;
    Ok(state.ports.into())
}

/// Ends the servers in good order; whether there was anything to end.
pub(crate) async fn down() -> Result<bool> {
    let folder = folder()?;
    if !folder.is_supervised()? {
        let left = !process::leftovers(folder.path()).is_empty();
        supervisor::end_leftovers(&folder).await;
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
pub(crate) fn wipe() -> Result<()> {
    let folder = folder()?;
    ensure!(!folder.is_supervised()?, "the servers are running");
    let data = folder.data();
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("deleting {}", data.display()))?;
    }
    Ok(())
}

/// What runs, and whether it answers.
pub(crate) async fn status() -> Result<Status> {
    let folder = folder()?;
    let Some(state) = folder.state().filter(|state| state.phase == Phase::Ready) else {
        return Ok(Status::default());
    };
    let endpoints = Endpoints::from(state.ports);
    let mut services = Vec::new();
    for server in Server::ALL {
        let url = match server {
            Server::Postgres => &endpoints.postgres,
            Server::Kafka => &endpoints.kafka,
            Server::Elasticsearch => &endpoints.elasticsearch,
        };
        let ready = server::check(server, &endpoints).await.is_ok();
        services.push(Service {
            name: server.to_string(),
            url: url.clone(),
            ready,
            restarts: Restarts::default(),
        });
    }
    Ok(Status {
        services,
        unsupervised: !state.supervisor.is_alive(),
    })
}

fn folder() -> Result<Folder> {
    Ok(Folder::new(environment::state_dir()?.join("stack")))
}
