//! The process of the write side: binds its address, serves until it is stopped, then drains.

use std::time::Duration;

use actix_web::web;
use chassis::config::KeysError;
use chassis::health::Health;
use chassis::kafka::{BrokersError, KafkaBrokers};
use chassis::metrics::Metrics;
use chassis::postgres::{self, PoolOptions, Session, SetupError};
use chassis::server::{Bolts, Server, ServerError};
use chassis::shutdown::Shutdown;
use chassis::tidemark::{EpochHandle, Tides};
use deadpool_postgres::Pool;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::{CommandArgs, DEFAULT_PORT};
use crate::execute::Commands;
use crate::http::{self, RequestRules};
use crate::import::Imports;
use crate::start::Start;
use crate::store::Database;
use crate::{metrics, upkeep};

/// A command-svc whose address is bound, and that does not answer yet.
#[derive(Debug)]
pub struct CommandService {
    args: CommandArgs,
    brokers: KafkaBrokers,
    server: Server,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("set up postgres")]
    Postgres(#[from] SetupError),
    #[error("set up kafka")]
    Kafka(#[from] BrokersError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("a background task failed")]
    TaskFailed,
}

impl CommandService {
    pub fn bind(args: CommandArgs) -> Result<Self, RunError> {
        args.keys.check()?;
        let brokers = KafkaBrokers::new(&args.kafka)?;
        let server = Server::bind(&args.http, DEFAULT_PORT)?;
        Ok(Self {
            args,
            brokers,
            server,
        })
    }

    /// Runs until the shutdown starts, then lets its requests and tasks end. Commands are executed
    /// as soon as the epoch is known.
    pub async fn run(self, recorder: Metrics, shutdown: &Shutdown) -> Result<(), RunError> {
        metrics::describe();
        let Self {
            args,
            brokers,
            server,
        } = self;
        let drain = Duration::from_secs(args.http.drain_seconds);
        let (health, epoch) = (Health::default(), EpochHandle::default());
        let database = Database::new(pool(&args)?, epoch.clone());
        let bolts = Bolts {
            verifier: Some(args.keys.verifier()?),
            tides: Some(Tides::new(args.keys.keyring()?, epoch.clone())),
            openapi: Some(http::openapi()),
            ..Bolts::new(health.clone(), recorder)
        };
        upkeep::spawn(&database, health.requirement("postgres"), shutdown);
        let routes = routes(&args, &database, shutdown);
        let relay_stop = CancellationToken::new();
        let start = Start {
            args,
            brokers,
            database,
            epoch,
            health,
            relay_stop: relay_stop.clone(),
        };
        shutdown.spawn_once("start", start.run(shutdown.clone()));
        let served = server.run(bolts, shutdown, routes).await;
        relay_stop.cancel();
        served?;
        shutdown.drain(drain).await;
        if shutdown.has_failed() {
            Err(RunError::TaskFailed)
        } else {
            Ok(())
        }
    }
}

/// The routes, with what their handlers share.
fn routes(
    args: &CommandArgs,
    database: &Database,
    shutdown: &Shutdown,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
    let commands = web::Data::new(Commands::new(database.clone()));
    let imports = web::Data::new(Imports::new(database.clone(), shutdown.token()));
    let rules = web::Data::new(RequestRules {
        require_if_match: args.require_if_match,
    });
    move |config: &mut web::ServiceConfig| {
        config
            .app_data(commands.clone())
            .app_data(rules.clone())
            .app_data(imports.clone());
        http::routes(config);
    }
}

fn pool(args: &CommandArgs) -> Result<Pool, SetupError> {
    let options = PoolOptions {
        size: args.postgres.pool_size,
        application_name: "command-svc",
        session: Session::Writer,
    };
    postgres::pool(&args.postgres.database_url, &options, &Handle::current())
}
