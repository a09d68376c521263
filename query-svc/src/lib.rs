//! The query side: answers reads from Elasticsearch, never older than the tidemark that asks.
//!
//! HTTP extracts and answers, `freshness` decides where a read stands and waits, `search` makes
//! pure request bodies. Nothing here writes anywhere.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use chassis::config::KeysError;
use chassis::elasticsearch::Elasticsearch;
use chassis::health::Health;
use chassis::kafka::{BrokersError, KafkaBrokers};
use chassis::metrics::Metrics;
use chassis::postgres::{self, PoolOptions, Session};
use chassis::server::{Bolts, Server, ServerError};
use chassis::shutdown::Shutdown;
use chassis::tidemark::{EpochHandle, Tides};
use tokio::runtime::Handle;

pub mod config;
pub mod freshness;
mod gate;
pub mod http;
pub mod metrics;
pub mod present;
mod readiness;
pub mod search;
mod start;

use config::QueryArgs;
use freshness::{Heads, Ladder};
use search::Paging;
use start::Start;

/// The longest that any call to Elasticsearch may take.
const ELASTICSEARCH_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("set up postgres")]
    Postgres(#[from] postgres::SetupError),
    #[error("set up kafka")]
    Kafka(#[from] BrokersError),
    #[error("set up elasticsearch")]
    Elasticsearch(#[from] chassis::elasticsearch::SetupError),
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Serves until the shutdown starts. Reads are answered as soon as epoch and watermarks are known.
pub async fn run(
    args: &QueryArgs,
    server: Server,
    recorder: Metrics,
    shutdown: &Shutdown,
) -> Result<(), RunError> {
    metrics::describe();
    let (health, epoch) = (Health::default(), EpochHandle::default());
    let keyring = args.keys.keyring()?;
    let ladder = Arc::new(ladder(args, &epoch)?);
    let paging = web::Data::new(Paging::new(keyring.clone()));
    let bolts = Bolts {
        verifier: Some(args.keys.verifier()?),
        tides: Some(Tides::new(keyring, epoch.clone())),
        openapi: Some(http::openapi()),
        ..Bolts::new(health.clone(), recorder)
    };
    let start = Start {
        brokers: KafkaBrokers::new(&args.kafka)?,
        prefix: args.namespace.prefix.clone(),
        ladder: Arc::clone(&ladder),
        epoch,
        health,
        token: shutdown.token(),
    };
    start.spawn(shutdown);
    let ladder = web::Data::from(ladder);
    let routes = move |config: &mut web::ServiceConfig| {
        config.app_data(ladder.clone());
        config.app_data(paging.clone());
        http::routes(config);
    };
    Ok(server.run(bolts, shutdown, routes).await?)
}

fn ladder(args: &QueryArgs, epoch: &EpochHandle) -> Result<Ladder, RunError> {
    let options = PoolOptions {
        size: args.postgres.pool_size,
        application_name: "query-svc",
        session: Session::Reader,
    };
    let pool = postgres::pool(&args.postgres.database_url, &options, &Handle::current())?;
    let heads = Heads::new(pool, epoch.clone());
    let elasticsearch = Elasticsearch::connect(&args.elasticsearch, ELASTICSEARCH_TIMEOUT)?;
    Ok(Ladder::new(elasticsearch, heads, args.bounds()))
}
