//! Fills a throw-away Tidemark through the public import route, and waits until all is searchable.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use schemas::id::ProductId;
use schemas::rest::import::{LineAnswer, ProductLine};
use schemas::view::View;

use super::instance::{Instance, staff};
use crate::operation::connection::Connection;
use crate::output;
use crate::service::Service;

const IMPORTED_WITHIN: Duration = Duration::from_secs(1_800);
const VISIBLE_WITHIN: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Imports the products, and answers the ids of those that were taken.
pub(super) async fn import(instance: &Instance, lines: &[ProductLine]) -> Result<Vec<ProductId>> {
    output::note(format!("importing {} products", lines.len()));
    let started = Instant::now();
    let mut body = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut body, line)?;
        body.push(b'\n');
    }
    let url = format!("{}/v1/imports/products", instance.url(Service::CommandSvc)?);
    let answer = staff(Some(IMPORTED_WITHIN))?
        .post(url)
        .header("content-type", "application/x-ndjson")
        .body(body)
        .send()
        .await?;
    ensure!(answer.status().is_success(), "the import was refused: {}", answer.text().await?);
    let mut ids = Vec::with_capacity(lines.len());
    let (mut pieces, mut rest) = (answer.bytes_stream(), Vec::new());
    while let Some(piece) = pieces.try_next().await.context("the import broke off")? {
        rest.extend_from_slice(&piece);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let answers: Vec<u8> = rest.drain(..whole).collect();
        let answers = answers.split(|byte| *byte == b'\n');
        // The totals at the end are no such line.
        let answers = answers.filter_map(|line| serde_json::from_slice::<LineAnswer>(line).ok());
        ids.extend(answers.filter_map(|answer| answer.id).map(ProductId));
    }
    ensure!(!ids.is_empty(), "none of the products was taken");
    let seconds = started.elapsed().as_secs_f64();
    output::note(format!("{} products in {seconds:.1} s", ids.len()));
    Ok(ids)
}

/// Waits until every view shows all that was committed.
pub(super) async fn all_visible(instance: &Instance, connection: &Connection) -> Result<()> {
    let database = instance.database().await?;
    let deadline = Instant::now() + VISIBLE_WITHIN;
    loop {
        let row = database.query_one("select sum(head)::bigint from lane", &[]).await?;
        let committed = u64::try_from(row.get::<_, i64>(0))?;
        let visible = View::ALL.map(|view| visible(connection, view));
        if visible.iter().all(|visible| *visible >= Some(committed)) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "of {committed} events only {visible:?} are visible; {}",
            instance.see_logs()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn visible(connection: &Connection, view: View) -> Option<u64> {
    connection.tail.read(|state| Some(state.view(view.name())?.active_build()?.visible.total()))
}

/// The index that searches of this view read now.
pub(super) fn active_index(connection: &Connection, view: View) -> Result<String> {
    let build = connection.tail.read(|state| state.view(view.name())?.active);
    let build = build.with_context(|| format!("{} has no active build", view.name()))?;
    Ok(connection.names.index(view.name(), build))
}
