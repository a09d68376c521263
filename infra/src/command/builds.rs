//! `tidemark builds`: the builds of each view, as the watermark topic tells them.

use anyhow::Result;
use chassis::clock;
use chrono::{DateTime, SecondsFormat, Utc};
use schemas::watermark::{Announced, BuildState, ViewState};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli,
    operation::{connection::Connection, deployment::Deployment},
    output::{self, grouped, table},
};

/// One line of the table.
#[derive(Debug, Serialize)]
struct Build {
    view: String,
    build: u32,
    /// Projection version.
    version: u32,
    state: State,
    /// Events, over all lanes.
    visible: u64,
    head: u64,
    index: String,
    announced_at: DateTime<Utc>,
    retired_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Readers are served from it.
    Active,
    /// On its way to the heads, to take over.
    Filling,
    /// Kept up to date beside the active one.
    Fed,
    Retired,
}

pub(super) async fn run(args: cli::Builds) -> Result<()> {
    let connection = Connection::open(&Deployment::current()?.surroundings).await?;
    let now = clock::now();
    let builds: Vec<Build> = connection.tail.read(|state| {
        let views = state.views();
        views
            .flat_map(|(name, view)| builds_of(name, view, now))
            .collect()
    });
    if args.json {
        output::line(json!({"builds": builds}).to_string());
        return Ok(());
    }
    let rows = builds.into_iter().map(|build| {
        [
            build.view,
            build.build.to_string(),
            build.version.to_string(),
            build.state.name().to_owned(),
            grouped(build.visible),
            grouped(build.head),
            build
                .announced_at
                .to_rfc3339_opts(SecondsFormat::Secs, true),
        ]
    });
    let header = [
        "VIEW",
        "build",
        "version",
        "STATE",
        "visible",
        "head",
        "ANNOUNCED",
    ];
    output::line(table(header, rows));
    Ok(())
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Filling => "filling",
            Self::Fed => "fed",
            Self::Retired => "retired",
        }
    }
}

fn builds_of(name: &str, view: &ViewState, now: DateTime<Utc>) -> Vec<Build> {
    let heads = |build: &BuildState| {
        build
            .lanes
            .values()
            .filter_map(|lane| lane.head)
            .sum::<u64>()
    };
    let head = view.builds.values().map(heads).max().unwrap_or(0);
    let announced = view.builds.iter().filter_map(|(number, build)| {
        let announced: &Announced = build.announced.as_ref()?;
        Some(Build {
            view: name.to_owned(),
            build: *number,
            version: announced.version,
            state: state_of(view, *number, build, now),
            visible: build.visible.total(),
            head: head.max(build.visible.total()),
            index: announced.index.clone(),
            announced_at: announced.at,
            retired_at: build.retired.as_ref().map(|retired| retired.at),
        })
    });
    announced.collect()
}

fn state_of(view: &ViewState, number: u32, build: &BuildState, now: DateTime<Utc>) -> State {
    match () {
        () if view.active == Some(number) => State::Active,
        () if build.retired.is_some() => State::Retired,
        () if Some(number) > view.active && !build.is_caught_up(now) => State::Filling,
        () => State::Fed,
    }
}
