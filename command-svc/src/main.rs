//! The process of the write side: bind, start in the background, serve until told to stop.

use std::time::Duration;

use actix_web::web;
use chassis::health::Health;
use chassis::kafka::KafkaBrokers;
use chassis::postgres::{self, PoolOptions, Session, SetupError};
use chassis::server::{Bolts, Server};
use chassis::shutdown::Shutdown;
use chassis::telemetry;
use chassis::tidemark::{EpochHandle, Tides};
use clap::Parser;
use command_svc::config::{CommandArgs, DEFAULT_PORT, Task};
use command_svc::execute::Commands;
use command_svc::http::{self, RequestRules};
use command_svc::import::Imports;
use command_svc::start::Start;
use command_svc::store::Database;
use command_svc::{metrics, upkeep, verify};
use deadpool_postgres::Pool;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = CommandArgs::parse();
    telemetry::init(&args.log)?;
    if let Some(Task::Verify) = args.task {
        return verify::print(&args.postgres).await;
    }
    args.keys.check()?;
    let brokers = KafkaBrokers::new(&args.kafka)?;
    let shutdown = Shutdown::on_signals()?;
    let server = Server::bind(&args.http, DEFAULT_PORT)?;
    let recorder = chassis::metrics::install("command-svc", env!("CARGO_PKG_VERSION"), &shutdown)?;
    metrics::describe();
    let (health, epoch) = (Health::default(), EpochHandle::default());
    let database = Database::new(pool(&args)?, epoch.clone());
    let commands = Commands::new(database.clone());
    let bolts = Bolts {
        verifier: Some(args.keys.verifier()?),
        tides: Some(Tides::new(args.keys.keyring()?, epoch.clone())),
        openapi: Some(http::openapi()),
        ..Bolts::new(health.clone(), recorder)
    };
    upkeep::spawn(&database, health.requirement("postgres"), &shutdown);
    let relay_stop = CancellationToken::new();
    let start = Start {
        args: args.clone(),
        brokers,
        database: database.clone(),
        epoch,
        health,
        relay_stop: relay_stop.clone(),
    };
    shutdown.spawn_once("start", start.run(shutdown.clone()));
    let rules = web::Data::new(RequestRules {
        require_if_match: args.require_if_match,
    });
    let imports = web::Data::new(Imports::new(database, shutdown.token()));
    let commands = web::Data::new(commands);
    let routes = move |config: &mut web::ServiceConfig| {
        config
            .app_data(commands.clone())
            .app_data(rules.clone())
            .app_data(imports.clone());
        http::routes(config);
    };
    let served = server.run(bolts, &shutdown, routes).await;
    relay_stop.cancel();
    served?;
    shutdown
        .drain(Duration::from_secs(args.http.drain_seconds))
        .await;
    anyhow::ensure!(!shutdown.has_failed(), "a background task failed");
    Ok(())
}

fn pool(args: &CommandArgs) -> Result<Pool, SetupError> {
    let options = PoolOptions {
        size: args.postgres.pool_size,
        application_name: "command-svc",
        session: Session::Writer,
    };
    postgres::pool(&args.postgres.database_url, &options, &Handle::current())
}
