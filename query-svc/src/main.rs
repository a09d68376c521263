//! query-svc: reads its options, binds, and serves until a signal.

use std::time::Duration;

use chassis::metrics;
use chassis::server::Server;
use chassis::shutdown::Shutdown;
use chassis::telemetry;
use clap::Parser;
use query_svc::config::QueryArgs;

const DEFAULT_PORT: u16 = 8082;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = QueryArgs::parse();
    telemetry::init(&args.log)?;
    args.keys.check()?;
    let shutdown = Shutdown::on_signals()?;
    let server = Server::bind(&args.http, DEFAULT_PORT)?;
    let metrics = metrics::install("query-svc", env!("CARGO_PKG_VERSION"), &shutdown)?;
    query_svc::run(&args, server, metrics, &shutdown).await?;
    shutdown
        .drain(Duration::from_secs(args.http.drain_seconds))
        .await;
    anyhow::ensure!(!shutdown.has_failed(), "a background task failed");
    Ok(())
}
