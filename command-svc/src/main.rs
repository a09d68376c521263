//! command-svc: options, telemetry, signals, and the service until it ends; or a task instead.

use chassis::metrics;
use chassis::shutdown::Shutdown;
use chassis::telemetry;
use clap::Parser;
use command_svc::CommandService;
use command_svc::config::{CommandArgs, Task};
use command_svc::verify;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = CommandArgs::parse();
    telemetry::init(&args.log)?;
    if let Some(Task::Verify) = args.task {
        return verify::print(&args.postgres).await;
    }
    let shutdown = Shutdown::on_signals()?;
    let service = CommandService::bind(args)?;
    let recorder = metrics::install("command-svc", env!("CARGO_PKG_VERSION"), &shutdown)?;
    Ok(service.run(recorder, &shutdown).await?)
}
