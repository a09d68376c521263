//! `tidemark verify`: rows = fold(events) = documents, or a list of what is not.

use anyhow::{Result, ensure};

use crate::{
    cli,
    operation::{
        deployment::Deployment,
        verify::{Difference, Progress, verify},
    },
    output::{self, Bar, Step, grouped},
};

pub(super) async fn run(args: cli::Verify) -> Result<()> {
    let deployment = Deployment::current()?;
    let mut rows = Some(Step::begin("comparing rows with their events"));
    let mut bar = None;
    let tell = |difference: Difference| {
        output::line(match args.json {
            true => serde_json::json!(difference).to_string(),
            false => format!("{} {}: {}", difference.part, difference.of, difference.what),
        });
    };
    let show = |progress: Progress| {
        rows.take().into_iter().for_each(Step::done);
        let text = "comparing documents with their events";
        let bar = bar.get_or_insert_with(|| Bar::begin(text, "lanes", progress.of));
        bar.at(progress.lanes, progress.of);
    };
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
