//! The process: options, telemetry, signals, and the exit status that says why it ended.

use std::process::ExitCode;

use chassis::shutdown::Shutdown;
use chassis::telemetry::{self, Chain};
use clap::Parser;
use projector::config::ProjectorArgs;
use projector::{Projector, RunError};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = ProjectorArgs::parse();
    telemetry::init(&args.log)?;
    let shutdown = Shutdown::on_signals()?;
    let metrics = chassis::metrics::install("projector", env!("CARGO_PKG_VERSION"), &shutdown)?;
    match Projector::bind(args)?.run(metrics, shutdown).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(RunError::Ending(ending)) => {
            tracing::error!(error = %Chain(&ending), "the projector ends");
            Ok(ExitCode::from(ending.exit_code()))
        }
        Err(error) => Err(error.into()),
    }
}
