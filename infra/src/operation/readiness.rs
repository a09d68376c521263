//! Waits until the services of a plan are ready. The watcher starts them, not this process.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use schemas::{rest::query::TidemarkState, view::View};
use testbed::log;

use super::{
    deployment::{Deployment, Plan, Slot, Watched},
    watcher,
};
use crate::service::Service;

const READY_WITHIN: Duration = Duration::from_secs(120);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// A service that ends this many times during the wait is reported as failed.
const ENDS_BORNE: u32 = 3;
/// A watcher notes itself first thing.
const WATCHER_STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Of the watcher's log, when it has ended.
const LINES_SHOWN: usize = 12;

/// Waits until every service is ready and answers readers from a first build of each view.
pub(super) async fn wait(
    dir: &Path,
    plan: &Plan,
    before: Option<&Deployment>,
    tell: impl Fn(&str),
) -> Result<()> {
    let watcher_deadline = Instant::now() + WATCHER_STARTS_WITHIN;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let deployment = Deployment::load(dir)?.filter(|found| found.watcher().is_some());
        if let Some(deployment) = deployment {
            let missing = missing(&deployment, plan, before, Instant::now() >= deadline).await?;
            let Some(slot) = missing else {
                return serving(&deployment).await;
            };
            tell(slot.service.name());
        } else if Instant::now() >= watcher_deadline {
            let log = log::last_lines(&watcher::log_of(dir), LINES_SHOWN);
            bail!("the watcher of the services has ended:\n{}", log.join("\n"));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// The first service that is not ready; an error when there is no hope for it.
async fn missing(
    deployment: &Deployment,
    plan: &Plan,
    before: Option<&Deployment>,
    is_late: bool,
) -> Result<Option<Slot>> {
    for slot in &plan.services {
        let (service, replica) = (slot.service, slot.replica);
        let ended_before = before
            .and_then(|before| before.watched(service, replica))
            .map_or(0, |watched| watched.restarts.count);
        let watched = deployment.watched(service, replica);
        if let Some(watched) = watched {
            ensure_lives(watched, ended_before)?;
        }
        match watched.and_then(Watched::running) {
            Some(running) if is_late => running.ready(Duration::ZERO).await?,
            Some(running) if running.is_ready().await => {}
            _ => {
                ensure!(!is_late, "{} does not start", service.name());
                return Ok(Some(*slot));
            }
        }
    }
    Ok(None)
}

fn ensure_lives(watched: &Watched, ended_before: u32) -> Result<()> {
    let Some(end) = &watched.restarts.last_end else {
        return Ok(());
    };
    ensure!(
        watched.restarts.count < ended_before + ENDS_BORNE,
        "{} ends again and again ({}):\n{}",
        watched.service.name(),
        end.reason,
        end.log.join("\n")
    );
    Ok(())
}

async fn serving(deployment: &Deployment) -> Result<()> {
    let queries = deployment.replicas(Service::QuerySvc);
    try_join_all(queries.map(|watched| serves(&watched.url))).await?;
    Ok(())
}

/// Waits until this replica knows a build to read of every view.
async fn serves(url: &str) -> Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let state = match unreadable_views(&http, url).await {
            Ok(views) if views.is_empty() => return Ok(()),
            Ok(views) => format!("has no build yet of {}", views.join(", ")),
            Err(error) => format!("does not answer: {error}"),
        };
        ensure!(Instant::now() < deadline, "{url} {state}");
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn unreadable_views(http: &reqwest::Client, url: &str) -> Result<Vec<&'static str>> {
    let answer = http.get(format!("{url}/v1/tidemark")).send().await?;
    let state: TidemarkState = answer.error_for_status()?.json().await?;
    let is_read = |name: &str| {
        let mut views = state.views.iter();
        views.any(|view| view.view == name && view.build.is_some())
    };
    let views = View::ALL.map(View::name).into_iter();
    Ok(views.filter(|name| !is_read(name)).collect())
}
