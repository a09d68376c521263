//! `tidemark builds`: the builds of each view, as the watermark topic tells them.

use anyhow::Result;
use chrono::SecondsFormat;
use schemas::operations::BuildStatus;
use serde_json::json;

use crate::{
    cli,
    operation::{connection::Connection, deployment::Deployment},
    output::{self, grouped, table},
};

pub(super) async fn run(args: cli::Builds) -> Result<()> {
    let connection = Connection::open(&Deployment::current()?.surroundings).await?;
    connection.heard().await;
    let now = connection.tail.now();
    let builds: Vec<BuildStatus> = connection.tail.read(|state| {
        let views = state.views();
        views
            .flat_map(|(name, view)| BuildStatus::of_view(name, view, now))
            .collect()
    });
    if args.json {
        output::line(json!({"builds": builds}).to_string());
        return Ok(());
    }
    let header = [
        "VIEW",
        "build",
        "version",
        "STATE",
        "CAUGHT UP",
        "visible",
        "head",
        "ANNOUNCED",
    ];
    output::line(table(header, builds.into_iter().map(row)));
    Ok(())
}

fn row(build: BuildStatus) -> [String; 8] {
    let version = build.version.map(|version| version.to_string());
    let announced = build
        .announced_at
        .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    let caught_up = if build.caught_up { "yes" } else { "no" };
    [
        build.view,
        build.build.to_string(),
        version.unwrap_or_default(),
        build.state.name().to_owned(),
        caught_up.to_owned(),
        grouped(build.visible_events),
        grouped(build.head_events),
        announced.unwrap_or_default(),
    ]
}
