//! The stack that all tests of a run share: the first to come has it started, it ends a minute
//! after the last has gone. Its data is thrown away; tests keep apart by `Namespace`.

use std::{
    fs,
    fs::File,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use nix::sys::signal::Signal;

use super::{
    client,
    spec::{Folder, Keep, Lifetime, PROTOCOL, Phase, Spec, State},
};
use crate::{artifact, endpoints::Endpoints, environment, ports::Ports, server, server::Server};

/// A use of the shared stack; the servers run at least until it is dropped.
#[derive(Debug)]
pub struct SharedStack {
    endpoints: Endpoints,
    _lease: File,
}

impl SharedStack {
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }
}

/// Joins the shared stack, starting it if it is not up.
pub async fn shared() -> Result<SharedStack> {
    let artifacts = artifact::ensure().await?;
    let user = nix::unistd::geteuid();
    let dir = environment::cache_dir()?
        .join("stacks")
        .join(format!("shared-{user}"));
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let folder = Folder::new(dir);
    let lease = client::locked(folder.lease()?, true).await?;
    let _turn = client::locked(folder.turn()?, false).await?;
    let state = match running(&folder).await? {
        Some(state) => state,
        None => {
            let spec = Spec {
                dir: folder.path().to_owned(),
                ports: Ports::free()?,
                artifacts,
                lifetime: Lifetime::Leases,
                keep: Keep::Logs,
                security: None,
                second_elasticsearch: false,
            };
            let mut child = client::spawn(&spec, false).await?;
            client::await_ready(&folder, Some(&mut child)).await?
        }
    };
    Ok(SharedStack {
        endpoints: state.ports.into(),
        _lease: lease,
    })
}

/// The stack that is up and well; one that is up and unwell, or of another build, is ended.
async fn running(folder: &Folder) -> Result<Option<State>> {
    if !folder.is_supervised()? {
        return Ok(None);
    }
    let Some(state) = folder.state().filter(|state| state.protocol == PROTOCOL) else {
        return client::await_ready(folder, None).await.map(Some);
    };
    let ready = match state.phase {
        Phase::Starting => client::await_ready(folder, None).await.is_ok(),
        Phase::Ready => is_well(&state).await,
        Phase::Failed(_) => false,
    };
    if ready {
        return Ok(Some(state));
    }
    state.supervisor.signal(Signal::SIGTERM);
    drop(client::locked(folder.supervisor()?, false).await?);
    Ok(None)
}

/// A crowded machine answers late, and others may be using these servers: unwell is only what is
/// gone, or silent for as long as a start may take.
async fn is_well(state: &State) -> bool {
    let deadline = Instant::now() + client::START_LIMIT;
    let endpoints = Endpoints::from(state.ports);
    loop {
        let checks = Server::ALL.map(|server| server::check(server, &endpoints));
        if try_join_all(checks).await.is_ok() {
            return true;
        }
        if !state.is_up() || Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
