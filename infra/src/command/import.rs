//! `tidemark import products`: a file into the catalogue, until the last line is searchable.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use schemas::rest::import::{ImportTotals, LineStatus};
use serde::Serialize;

use super::token;
use crate::{
    cli::{Import, ImportProducts},
    operation::{
        deployment::Deployment,
        import::{self, Destination, file, refused::RefusedLines},
        visible::until_visible,
    },
    output::{self, Bar, Step, grouped},
    service::Service,
};

/// What came of an import.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    totals: ImportTotals,
    seconds: f64,
    lines_per_second: f64,
    searchable_after_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_lines: Option<PathBuf>,
}

pub(super) async fn run(args: Import) -> Result<()> {
    match args {
        Import::Products(args) => products(args).await,
    }
}

async fn products(args: ImportProducts) -> Result<()> {
    let deployment = Deployment::current()?;
    let destination = Destination {
        url: deployment.url(Service::CommandSvc)?.to_owned(),
        token: token::staff(&args.signing)?,
    };
    let query_svc = deployment.url(Service::QuerySvc)?;
    let here = std::env::current_dir().context("finding the current folder")?;
    let mut refused = RefusedLines::of(&args.file, &here)?;
    let (totals, took) = send(&args.file, &destination, &mut refused).await?;
    let refused_lines = refused.finish()?;
    let searchable = wait(query_svc, &totals.tidemark).await?;
    let report = Report {
        seconds: took.as_secs_f64(),
        lines_per_second: totals.lines as f64 / took.as_secs_f64(),
        searchable_after_seconds: searchable.as_secs_f64(),
        refused_lines,
        totals,
    };
    output::line(if args.json {
        serde_json::to_string(&report)?
    } else {
        in_words(&report)
    });
    Ok(())
}

async fn send(
    file: &Path,
    destination: &Destination,
    refused: &mut RefusedLines,
) -> Result<(ImportTotals, Duration)> {
    let counted = file.to_owned();
    let total = tokio::task::spawn_blocking(move || file::count_lines(&counted)).await??;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut bar = Bar::begin(format!("importing {name}"), "products", total);
    let mut answered = 0;
    let totals = import::products(file, destination, |answer| {
        answered += 1;
        bar.at(answered, total);
        match answer.status {
            LineStatus::Refused => refused.add(answer),
            LineStatus::Created | LineStatus::Updated | LineStatus::Unchanged => Ok(()),
        }
    });
    let totals = totals.await?;
    Ok((totals, bar.elapsed()))
}

/// Waits until everything is searchable.
pub(super) async fn wait(query_svc: &str, tidemark: &str) -> Result<Duration> {
    let step = Step::begin("waiting until everything is searchable");
    let show = |missing| step.detail(&format!("{} events to go", grouped(missing)));
    let took = until_visible(query_svc, tidemark, show).await?;
    step.done();
    Ok(took)
}

fn in_words(report: &Report) -> String {
    let totals = &report.totals;
    let mut text = format!(
        "{} lines in {:.1} s ({:.0}/s): {} created, {} updated, {} unchanged, {} refused\n\
         everything searchable {:.1} s later\n\
         tidemark {}",
        grouped(totals.lines),
        report.seconds,
        report.lines_per_second,
        grouped(totals.created),
        grouped(totals.updated),
        grouped(totals.unchanged),
        grouped(totals.refused),
        report.searchable_after_seconds,
        totals.tidemark
    );
    if let Some(path) = &report.refused_lines {
        text += &format!("\nrefused lines, with the reason: {}", path.display());
    }
    text
}
