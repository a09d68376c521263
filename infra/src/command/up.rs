//! `tidemark up`: the servers on their fixed ports, detached.

use anyhow::{Result, ensure};

use crate::{cli::Up, output, stack::local};

pub(super) async fn run(args: Up) -> Result<()> {
    ensure!(
        args.services == 0,
        "the services cannot be started from here yet: --services 0"
    );
    let endpoints = local::up().await?;
    output::line(format!("postgres       {}", endpoints.postgres));
    output::line(format!("kafka          {}", endpoints.kafka));
    output::line(format!("elasticsearch  {}", endpoints.elasticsearch));
    Ok(())
}
