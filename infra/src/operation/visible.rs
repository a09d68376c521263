//! Waiting until what was written can be found by every search.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use schemas::rest::query::TidemarkState;

use super::rest;

const ASK_EVERY: Duration = Duration::from_millis(50);
const MOVES_WITHIN: Duration = Duration::from_secs(60);

/// Waits until every view shows what this tidemark speaks of; `show` is told how many events are
/// missing. Answers how long it took.
pub async fn until_visible(
    query_svc: &str,
    tidemark: &str,
    mut show: impl FnMut(u64),
) -> Result<Duration> {
    let client = rest::client()?;
    let started = Instant::now();
    let mut last = (u64::MAX, Instant::now());
    loop {
        let question = client.get(format!("{query_svc}/v1/tidemark"));
        let answer = question.header(rest::TIDEMARK, tidemark).send().await?;
        let state: TidemarkState = rest::success(answer).await?.json().await?;
        if state.covered {
            return Ok(started.elapsed());
        }
        let missing = missing(&state);
        show(missing);
        if missing < last.0 {
            last = (missing, Instant::now());
        }
        ensure!(
            last.1.elapsed() < MOVES_WITHIN,
            "{missing} events are not searchable yet, and nothing moves: is a projector well?"
        );
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn missing(state: &TidemarkState) -> u64 {
    let lanes = state.views.iter().flat_map(|view| &view.lanes_behind);
    lanes.map(|lane| lane.wanted - lane.visible).sum()
}
