//! `tidemark status`: what runs, where, and whether it answers.

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{cli, output, stack::local};

#[derive(Debug, Serialize)]
struct Report {
    services: Vec<local::Service>,
}

pub(super) async fn run(args: cli::Status) -> Result<()> {
    let report = Report {
        services: local::status().await?,
    };
    if args.json {
        output::line(serde_json::to_string(&report)?);
        return Ok(());
    }
    if report.services.is_empty() {
        output::line("nothing is running; `tidemark up` starts it");
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["NAME", "URL", "READY"]);
    for service in report.services {
        let ready = if service.ready { "yes" } else { "no" };
        table.add_row([service.name.as_str(), service.url.as_str(), ready]);
    }
    output::line(table.to_string());
    Ok(())
}
