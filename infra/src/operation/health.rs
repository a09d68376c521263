//! What runs, where, and whether it is ready: the servers and the services.

use anyhow::Result;
use futures::future::join_all;
use serde::Serialize;
use testbed::{
    environment,
    restart::{End, Restarts},
    stack::{LocalServer, LocalStack},
};

use super::deployment::{Deployment, Watched};

/// What `tidemark status` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Servers first, then services; empty when nothing was started.
    pub services: Vec<Health>,
    /// Whether what ends by itself is started again.
    pub watched: bool,
}

/// One server or service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    pub name: String,
    pub url: String,
    pub ready: bool,
    /// How often it has ended by itself and was started again.
    pub restarts: u32,
    pub last_end: Option<End>,
}

impl Health {
    fn new(name: &str, url: &str, ready: bool, restarts: Restarts) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            ready,
            restarts: restarts.count,
            last_end: restarts.last_end,
        }
    }
}

/// Of what `up` has started.
pub async fn status() -> Result<Status> {
    let servers = LocalStack::of_user()?.status().await?;
    let health =
        |one: LocalServer| Health::new(one.server.name(), &one.url, one.ready, one.restarts);
    let mut status = Status {
        services: servers.servers.into_iter().map(health).collect(),
        watched: !servers.unsupervised,
    };
    if let Some(deployment) = Deployment::load(&environment::state_dir()?)? {
        status.services.extend(services(&deployment).await);
        status.watched &= deployment.watcher().is_some();
    }
    Ok(status)
}

/// The services of a deployment, also those that have ended since.
pub async fn services(deployment: &Deployment) -> Vec<Health> {
    let asked = deployment.services.iter().map(async |watched: &Watched| {
        let ready = match watched.running() {
            Some(running) => running.is_ready().await,
            None => false,
        };
        let name = watched.service.name();
        Health::new(name, &watched.url, ready, watched.restarts.clone())
    });
    join_all(asked).await
}
