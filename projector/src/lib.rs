//! The projector: folds the log of events into views, and says how far each lane can be searched.
//!
//! Data flows one way: events in, documents and watermarks out. It may be killed at any instruction
//! and run in any number of replicas: external versions make repeated work void, and a watermark
//! never passes what a search shows.

pub mod config;

pub mod project;

pub mod consume;
pub mod cycle;
pub mod fill;
pub mod sink;

pub mod build_id;
pub mod builds;
pub mod checkpoint;
pub mod dead_letter;
pub mod lag;
pub mod publish;

pub mod board;
pub mod cache;
mod crash;
mod ending;
pub mod event_table;
pub mod heads;
pub mod http;
pub mod indexes;
pub mod metrics;
mod start;
pub mod version;

use std::sync::Arc;
use std::time::Duration;

use chassis::health::Health;
use chassis::server::{Bolts, Server};
use chassis::shutdown::Shutdown;
use tokio::sync::watch;

pub use ending::Ending;

use config::ProjectorArgs;
use start::{Endings, Probes};

/// The port of the operations API where none is given.
pub const PORT: u16 = 8083;

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
    Server(#[from] chassis::server::ServerError),
    #[error("a background task failed")]
    Failed,
}

impl Projector {
    pub fn bind(args: ProjectorArgs) -> Result<Self, chassis::server::ServerError> {
        let server = Server::bind(&args.http, PORT)?;
        Ok(Self { args, server })
    }

    /// Where a client on this machine finds it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Runs until the shutdown starts, then lets its tasks end.
    pub async fn run(
        self,
        metrics: chassis::metrics::Metrics,
        shutdown: Shutdown,
    ) -> Result<(), RunError> {
        metrics::describe();
        let health = Health::default();
        let probes = Probes::new(&health);
        let (sources, started) = watch::channel(None);
        let endings = Endings::default();
        let drain = Duration::from_secs(self.args.http.drain_seconds);
        let start = start::start(
            self.args,
            probes,
            shutdown.clone(),
            sources,
            Arc::clone(&endings),
        );
        shutdown.spawn_once("start", start);
        let routes = move |config: &mut actix_web::web::ServiceConfig| {
            http::routes(config, &started);
        };
        self.server
            .run(Bolts::new(health, metrics), &shutdown, routes)
            .await?;
        shutdown.drain(drain).await;
        if let Some(ending) = endings.get() {
            return Err(ending.clone().into());
        }
        if shutdown.has_failed() {
            Err(RunError::Failed)
        } else {
            Ok(())
        }
    }
}
