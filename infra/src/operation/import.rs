//! Bringing in a file through the public import route, as any client could.
//!
//! File and answers are streamed, so neither is ever in memory as a whole.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use reqwest::Body;
use schemas::rest::import::{ImportCutShort, ImportTotals, LineAnswer};
use serde::Deserialize;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::rest;

pub mod file;
pub mod refused;

/// An answer of the import route comes at least so often, or it has broken off.
const SILENCE: Duration = Duration::from_secs(60);

/// Where an import goes, and as whom.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Of a command-svc.
    pub url: String,
    /// Bearer token of an admin.
    pub token: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answered {
    Line(LineAnswer),
    Totals(ImportTotals),
    CutShort(ImportCutShort),
}

/// Sends the products of a file, and shows the answer to each line as it comes.
pub async fn products(
    file: &Path,
    destination: &Destination,
    show: impl FnMut(&LineAnswer) -> Result<()>,
) -> Result<ImportTotals> {
    let body = Body::wrap_stream(file::pieces(PathBuf::from(file)));
    send(body, destination, show).await
}

/// Sends products as NDJSON.
pub async fn send(
    body: Body,
    destination: &Destination,
    mut show: impl FnMut(&LineAnswer) -> Result<()>,
) -> Result<ImportTotals> {
    let url = format!("{}/v1/imports/products", destination.url);
    let answer = rest::streaming_client(SILENCE)?
        .post(&url)
        .bearer_auth(&destination.token)
        .header("content-type", "application/x-ndjson")
        .body(body)
        .send()
        .await
        .with_context(|| format!("sending the file to {url}"))?;
    let pieces = rest::success(answer).await?.bytes_stream();
    let mut lines = StreamReader::new(pieces.map_err(std::io::Error::other)).lines();
    let mut answered = 0;
    while let Some(line) = lines
        .next_line()
        .await
        .with_context(|| broken_off(answered))?
    {
        match serde_json::from_str(&line).context("reading an answer of the import")? {
            Answered::Line(answer) => {
                answered = answer.line;
                show(&answer)?;
            }
            Answered::Totals(totals) => return Ok(totals),
            Answered::CutShort(end) => bail!("{}", end.problem.detail),
        }
    }
    bail!(broken_off(answered))
}

fn broken_off(line: u64) -> String {
    format!(
        "the import broke off after line {line}: run it again, what is in already stays as it is"
    )
}
