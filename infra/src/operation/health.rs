//! What runs, where, and whether it is ready: the servers and the services.

use anyhow::Result;
use futures::future::join_all;
use serde::Serialize;

use super::deployment::Deployment;
use crate::{environment, service::Running, stack::local};

/// One line of `tidemark status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    pub name: String,
    pub url: String,
    pub ready: bool,
}

/// Servers first, then services; empty when nothing was started.
pub async fn health() -> Result<Vec<Health>> {
    let deployment = Deployment::load(&environment::state_dir()?)?;
    let servers = local::status().await?.into_iter().map(|server| Health {
        name: server.name,
        url: server.url,
        ready: server.ready,
    });
    let mut health: Vec<Health> = servers.collect();
    if let Some(deployment) = deployment {
        health.extend(services(&deployment).await);
    }
    Ok(health)
}

/// The services of a deployment, also those that have ended since.
pub async fn services(deployment: &Deployment) -> Vec<Health> {
    let asked = deployment
        .services
        .iter()
        .map(async |running: &Running| Health {
            name: running.service.name().to_owned(),
            url: running.url.clone(),
            ready: running.is_alive() && running.is_ready().await,
        });
    join_all(asked).await
}
