//! `tidemark dead-letters`: what a projector could not fold or store, and why.

use anyhow::Result;
use chrono::SecondsFormat;
use schemas::operations::{DeadLetter, Listing};

use crate::{
    cli::{DeadLetters, ListDeadLetters},
    operation::{deployment::Deployment, rest},
    output::{self, table},
    service::Service,
};

pub(super) async fn run(args: DeadLetters) -> Result<()> {
    match args {
        DeadLetters::List(args) => list(args).await,
    }
}

async fn list(args: ListDeadLetters) -> Result<()> {
    let deployment = Deployment::current()?;
    let url = format!("{}/v1/dead-letters", deployment.url(Service::Projector)?);
    let listed: Listing<DeadLetter> = rest::get(&rest::client()?, &url).await?;
    if args.json {
        output::line(serde_json::to_string(&listed)?);
        return Ok(());
    }
    if listed.items.is_empty() {
        output::line("there are none");
        return Ok(());
    }
    let rows = listed.items.into_iter().map(|letter| {
        [
            letter.view,
            letter.build.to_string(),
            letter.lane.to_string(),
            letter.seq.to_string(),
            letter.event_id.to_string(),
            letter.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            letter.reason,
        ]
    });
    let header = ["VIEW", "build", "lane", "seq", "EVENT", "AT", "REASON"];
    output::line(table(header, rows));
    Ok(())
}
