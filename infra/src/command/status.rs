//! `tidemark status`: what runs, where, whether it answers, and what has ended by itself.

use anyhow::Result;

use crate::{
    cli,
    operation::health::{Health, Status, status},
    output::{self, table},
};

pub(super) async fn run(args: cli::Status) -> Result<()> {
    if !args.json {
        return show().await;
    }
    output::line(serde_json::to_string(&status().await?)?);
    Ok(())
}

/// The same as a table, and below it the last words of what has ended.
pub(super) async fn show() -> Result<()> {
    let status = status().await?;
    if status.services.is_empty() {
        output::line("nothing is running; `tidemark up` starts it");
        return Ok(());
    }
    output::line(in_words(&status));
    Ok(())
}

fn in_words(status: &Status) -> String {
    let rows = status.services.iter().map(|one| {
        let ready = if one.ready { "yes" } else { "no" };
        let last_end = one.last_end.as_ref().map(|end| end.reason.clone());
        [
            one.name.clone(),
            one.url.clone(),
            ready.to_owned(),
            one.restarts.to_string(),
            last_end.unwrap_or_default(),
        ]
    });
    let header = ["NAME", "URL", "READY", "restarts", "LAST END"];
    let mut text = table(header, rows);
    for one in &status.services {
        text.push_str(&last_words(one));
    }
    if !status.watched {
        text.push_str("\n\nwhat ends now is not started again: `tidemark up` mends that");
    }
    text
}

fn last_words(one: &Health) -> String {
    let Some(end) = &one.last_end else {
        return String::new();
    };
    let at = end.at.format("%Y-%m-%d %H:%M:%S UTC");
    let lines = end.log.iter().map(|line| format!("\n  {line}"));
    format!(
        "\n\n{} ({}) ended at {at}: {}{}",
        one.name,
        one.url,
        end.reason,
        lines.collect::<String>()
    )
}
