//! The process of the read side: binds its address, serves until told to stop, then drains.

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
use deadpool_postgres::Pool;
use tokio::runtime::Handle;

use crate::config::{DEFAULT_PORT, ELASTICSEARCH_TIMEOUT, QueryArgs};
use crate::freshness::{Heads, Ladder, Limits};
use crate::search::Paging;
use crate::start::Start;
use crate::{http, metrics};

/// A query-svc whose address is bound, and that does not answer yet.
#[derive(Debug)]
pub struct QueryService {
    args: QueryArgs,
    server: Server,
}

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
    #[error("a background task failed")]
    TaskFailed,
}

impl QueryService {
    pub fn bind(args: QueryArgs) -> Result<Self, RunError> {
        args.keys.check()?;
        let server = Server::bind(&args.http, DEFAULT_PORT)?;
        Ok(Self { args, server })
    }

    /// Where a client on this machine finds it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Runs until the shutdown starts, then lets its requests and tasks end. Reads are answered as
    /// soon as epoch and watermarks are known.
    pub async fn run(self, recorder: Metrics, shutdown: &Shutdown) -> Result<(), RunError> {
        metrics::describe();
        let Self { args, server } = self;
        let (health, epoch) = (Health::default(), EpochHandle::default());
        let keyring = args.keys.keyring()?;
        let elasticsearch = Elasticsearch::connect(&args.elasticsearch, ELASTICSEARCH_TIMEOUT)?;
        let heads = Heads::new(pool(&args)?, epoch.clone());
        let limits = Limits {
            elasticsearch_concurrency: args.elasticsearch_concurrency,
            waiting: args.max_waiting,
        };
        let ladder = Ladder::new(elasticsearch.clone(), heads, limits);
        let ladder = web::Data::new(ladder);
        let paging = web::Data::new(Paging::new(keyring.clone()));
        let bolts = Bolts {
            verifier: Some(args.keys.verifier()?),
            tides: Some(Tides::new(keyring, epoch.clone())),
            openapi: Some(http::openapi()),
            ..Bolts::new(health.clone(), recorder)
        };
        let start = Start {
            brokers: KafkaBrokers::new(&args.kafka)?,
            prefix: args.namespace.prefix,
            elasticsearch,
            ladder: Arc::clone(&ladder),
            epoch,
            health,
            token: shutdown.token(),
        };
        start.spawn(shutdown);
        let routes = move |config: &mut web::ServiceConfig| {
            config.app_data(ladder.clone()).app_data(paging.clone());
            http::routes(config);
        };
        server.run(bolts, shutdown, routes).await?;
        let drain = Duration::from_secs(args.http.drain_seconds);
        shutdown.drain(drain).await;
        if shutdown.has_failed() {
            Err(RunError::TaskFailed)
        } else {
            Ok(())
        }
    }
}

fn pool(args: &QueryArgs) -> Result<Pool, postgres::SetupError> {
    let options = PoolOptions {
        size: args.postgres.pool_size,
        application_name: "query-svc",
        session: Session::Reader,
    };
    postgres::pool(&args.postgres.database_url, &options, &Handle::current())
}
