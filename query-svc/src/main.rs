//! query-svc: options, telemetry, signals, and the service until it ends.

use chassis::metrics;
use chassis::shutdown::Shutdown;
use chassis::telemetry;
use clap::Parser;
use query_svc::QueryService;
use query_svc::config::QueryArgs;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = QueryArgs::parse();
    telemetry::init(&args.log)?;
    let shutdown = Shutdown::on_signals()?;
    let service = QueryService::bind(args)?;
    let recorder = metrics::install("query-svc", env!("CARGO_PKG_VERSION"), &shutdown)?;
    Ok(service.run(recorder, &shutdown).await?)
}
