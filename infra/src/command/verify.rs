//! `tidemark verify`: rows = fold(events) = documents, or a list of what is not.

use anyhow::{Result, ensure};

use crate::{
    cli,
    operation::{
        deployment::Deployment,
        verify::{Difference, Progress, verify},
    },
    output::{self, Bar, grouped},
};

pub(super) async fn run(args: cli::Verify) -> Result<()> {
    let deployment = Deployment::current()?;
    let mut bar = Bar::begin("comparing rows, events and documents", "lanes", 64);
    let tell = |difference: Difference| {
        output::line(match args.json {
            true => serde_json::json!(difference).to_string(),
            false => format!("{} {}: {}", difference.part, difference.of, difference.what),
        });
    };
    let show = |progress: Progress| bar.at(progress.lanes, progress.of);
    let checked = verify(&deployment.surroundings, tell, show).await?;
    drop(bar);
    output::line(match args.json {
        true => serde_json::to_string(&checked)?,
        false => format!(
            "{} events, {} rows and {} documents compared: {} differences",
            grouped(checked.events),
            grouped(checked.rows),
            grouped(checked.documents),
            grouped(checked.differences)
        ),
    });
    ensure!(
        checked.differences == 0,
        "rows, events and documents do not agree"
    );
    Ok(())
}
