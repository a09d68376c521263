//! Fills a throw-away Tidemark through the public import route, and waits until all is searchable.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use schemas::id::ProductId;
use schemas::rest::import::ProductLine;
use schemas::view::View;

use super::instance::{Instance, admin_token};
use crate::operation::connection::Connection;
use crate::operation::import::{Destination, send};
use crate::output::{self, grouped};
use crate::service::Service;

const VISIBLE_WITHIN: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Imports the products, and answers the ids of those that were taken.
pub(super) async fn import(instance: &Instance, lines: &[ProductLine]) -> Result<Vec<ProductId>> {
    output::note(format!(
        "importing {} products",
        grouped(lines.len() as u64)
    ));
    let started = Instant::now();
    let mut body = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut body, line)?;
        body.push(b'\n');
    }
    let destination = Destination {
        url: instance.url(Service::CommandSvc)?.to_owned(),
        token: admin_token()?,
    };
    let mut ids = Vec::with_capacity(lines.len());
    let taken = send(body.into(), &destination, |answer| {
        ids.extend(answer.id.map(ProductId));
        Ok(())
    });
    let totals = taken.await.with_context(|| instance.see_logs())?;
    ensure!(!ids.is_empty(), "none of the products was taken");
    let seconds = started.elapsed().as_secs_f64();
    let (taken, refused) = (
        grouped(totals.lines - totals.refused),
        grouped(totals.refused),
    );
    output::note(format!(
        "{taken} products in {seconds:.1} s, {refused} refused"
    ));
    Ok(ids)
}

/// Waits until every view shows all that was committed.
pub(super) async fn all_visible(instance: &Instance, connection: &Connection) -> Result<()> {
    let database = instance.database().await?;
    let deadline = Instant::now() + VISIBLE_WITHIN;
    loop {
        let row = database
            .query_one("select sum(head)::bigint from lane", &[])
            .await?;
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
    connection
        .tail
        .read(|state| Some(state.view(view.name())?.active_build()?.visible.total()))
}

/// The index that searches of this view read now.
pub(super) fn active_index(connection: &Connection, view: View) -> Result<String> {
    let build = connection
        .tail
        .read(|state| state.view(view.name())?.active);
    let build = build.with_context(|| format!("{} has no active build", view.name()))?;
    Ok(connection.names.index(view.name(), build))
}
