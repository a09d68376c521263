//! `tidemark status`: what runs, where, and whether it answers.

use anyhow::Result;
use serde_json::json;

use crate::{
    cli,
    operation::health::health,
    output::{self, table},
};

pub(super) async fn run(args: cli::Status) -> Result<()> {
    if !args.json {
        return show().await;
    }
    output::line(json!({"services": health().await?}).to_string());
    Ok(())
}

/// The same as a table.
pub(super) async fn show() -> Result<()> {
    let health = health().await?;
    if health.is_empty() {
        output::line("nothing is running; `tidemark up` starts it");
        return Ok(());
    }
    let rows = health.into_iter().map(|one| {
        let ready = if one.ready { "yes" } else { "no" };
        [one.name, one.url, ready.to_owned()]
    });
    output::line(table(["NAME", "URL", "READY"], rows));
    Ok(())
}
