//! The process that projects: binds its address, runs until it is stopped, then drains.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use chassis::health::Health;
use chassis::metrics::Metrics;
use chassis::server::{Bolts, Server, ServerError};
use chassis::shutdown::Shutdown;
use tokio::sync::watch;

use crate::config::{DEFAULT_PORT, ProjectorArgs};
use crate::ending::Ending;
use crate::start::{Endings, Probes, start};
use crate::{http, metrics};

/// A projector whose address is bound, and that has not started yet.
#[derive(Debug)]
pub struct Projector {
    args: ProjectorArgs,
    server: Server,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Ending(#[from] Ending),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("a background task failed")]
    TaskFailed,
}

impl Projector {
    pub fn bind(args: ProjectorArgs) -> Result<Self, RunError> {
        let server = Server::bind(&args.http, DEFAULT_PORT)?;
        Ok(Self { args, server })
    }

    /// Where a client on this machine finds it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Runs until the shutdown starts, then lets its tasks end. Operators are answered as soon as the
    /// epoch is known.
    pub async fn run(self, recorder: Metrics, shutdown: &Shutdown) -> Result<(), RunError> {
        metrics::describe();
        let Self { args, server } = self;
        let drain = Duration::from_secs(args.http.drain_seconds);
        let health = Health::default();
        let probes = Probes::new(&health);
        let endings = Endings::default();
        let (sources, started) = watch::channel(None);
        let starting = start(
            args,
            probes,
            shutdown.clone(),
            sources,
            Arc::clone(&endings),
        );
        shutdown.spawn_once("start", starting);
        let bolts = Bolts {
            openapi: Some(http::openapi()),
            ..Bolts::new(health, recorder)
        };
        let started = web::Data::new(started);
        let routes = move |config: &mut ServiceConfig| {
            config.app_data(started.clone());
            http::routes(config);
        };
        server.run(bolts, shutdown, routes).await?;
        shutdown.drain(drain).await;
        if let Some(ending) = endings.get() {
            return Err(ending.clone().into());
        }
        if shutdown.has_failed() {
            Err(RunError::TaskFailed)
        } else {
            Ok(())
        }
    }
}
