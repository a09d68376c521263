//! Building a view anew while it is read and written: a wish, and watching it come true.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use chassis::clock;
use schemas::view::View;
use schemas::watermark::{BuildState, Key, ViewState, Wish, WishKind};
use uuid::Uuid;

use super::connection::Connection;

const ANNOUNCED_WITHIN: Duration = Duration::from_secs(15);
const MOVES_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How far a replay is, in events over all lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub build: u32,
    pub filled: u64,
    pub head: u64,
}

/// A replay that has ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    pub from: Option<u32>,
    pub to: u32,
    /// Events that the new build was folded from.
    pub events: u64,
    pub took: Duration,
}

/// Wishes for a new build of the view and follows it until readers have switched to it.
pub async fn replay(
    connection: &Connection,
    view: View,
    mut show: impl FnMut(Progress),
) -> Result<Replayed> {
    let started = Instant::now();
    let id = clock::new_id();
    let from = look(connection, view, |view| view.active).flatten();
    let wish = Wish {
        epoch: connection.names.epoch(),
        kind: WishKind::Replay,
        at: clock::now(),
    };
    let key = Key::Wish {
        view: view.name().to_owned(),
        wish: id,
    };
    connection.publish(&key, &wish).await?;

    let mut build = announced(connection, view, id).await?;
    let mut last = (0, Instant::now());
    loop {
        let (progress, is_active, is_lost) =
            look(connection, view, |view| progress_of(view, build)).unwrap_or_default();
        let progress = Progress { build, ..progress };
        show(progress);
        if is_active {
            let took = started.elapsed();
            return Ok(Replayed {
                from,
                to: build,
                events: progress.filled,
                took,
            });
        }
        if is_lost {
            // The wish is open again, and the next build answers it.
            build = announced(connection, view, id).await?;
            last = (0, Instant::now());
            continue;
        }
        if progress.filled > last.0 {
            last = (progress.filled, Instant::now());
        }
        ensure!(
            last.1.elapsed() < MOVES_WITHIN,
            "build {build} stands still: is a projector well?"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The build that answers the wish.
async fn announced(connection: &Connection, view: View, wish: Uuid) -> Result<u32> {
    let deadline = Instant::now() + ANNOUNCED_WITHIN;
    while Instant::now() < deadline {
        let found = look(connection, view, |view| {
            let mut builds = view.builds.iter();
            builds.find_map(|(number, build)| {
                let is_ours = build.announced.as_ref()?.wish == Some(wish);
                (is_ours && build.retired.is_none()).then_some(*number)
            })
        });
        if let Some(build) = found.flatten() {
            return Ok(build);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("no projector has announced a build: is one running, or another replay under way?")
}

fn progress_of(view: &ViewState, build: u32) -> (Progress, bool, bool) {
    let state = view.builds.get(&build);
    let filled = state.map_or(0, |state| state.visible.total());
    let heads = view
        .builds
        .values()
        .map(|build| build.lanes.values().filter_map(|lane| lane.head).sum());
    let head = heads.max().unwrap_or(0).max(filled);
    let is_lost = state.is_some_and(BuildState::is_lost);
    (
        Progress {
            build,
            filled,
            head,
        },
        view.active == Some(build),
        is_lost,
    )
}

fn look<T>(connection: &Connection, view: View, look: impl FnOnce(&ViewState) -> T) -> Option<T> {
    connection
        .tail
        .read(|state| state.view(view.name()).map(look))
}
