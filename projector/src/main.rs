//! The projector: options, telemetry, signals, and the service until it ends. The exit status says
//! why it ended.

use std::process::ExitCode;

use chassis::metrics;
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
    let service = Projector::bind(args)?;
    let recorder = metrics::install("projector", env!("CARGO_PKG_VERSION"), &shutdown)?;
    match service.run(recorder, &shutdown).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(RunError::Ending(ending)) => {
            tracing::error!(error = %Chain(&ending), "the projector ends");
            Ok(ExitCode::from(ending.exit_code()))
        }
        Err(error) => Err(error.into()),
    }
}
