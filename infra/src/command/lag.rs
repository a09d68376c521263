//! `tidemark lag`: how far each build of each view is behind the events, and what stands still.

use std::time::Duration;

use anyhow::Result;
use schemas::operations::{BuildLag, LagReport};

use crate::{
    cli,
    operation::{deployment::Deployment, lag::lag},
    output::{self, grouped, table},
};

const EVERY: Duration = Duration::from_secs(1);
/// How many lanes that stand still are named for each build.
const NAMED: usize = 8;

pub(super) async fn run(args: cli::Lag) -> Result<()> {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let report = lag(&Deployment::current()?).await?;
        match (args.json, args.watch) {
            (true, _) => output::line(serde_json::to_string(&report)?),
            (false, true) => output::page(in_words(&report)),
            (false, false) => output::line(in_words(&report)),
        }
        if !args.watch {
            return Ok(());
        }
    }
}

/// A row a build, and the lanes that stand still.
pub(super) fn in_words(report: &LagReport) -> String {
    let views = report.views.iter();
    let builds = views.flat_map(|view| view.builds.iter().map(move |build| (view, build)));
    let rows = builds.clone().map(|(view, build)| {
        let is_active = view.active == Some(build.build);
        let role = if is_active { "active" } else { "fed" };
        let (visible, head) = build.lanes.iter().fold((0, 0), |sum, lane| {
            (sum.0 + lane.visible, sum.1 + lane.head)
        });
        [
            view.view.clone(),
            build.build.to_string(),
            role.to_owned(),
            build.state.name().to_owned(),
            grouped(build.behind_events),
            format!("{:.1}", build.behind_seconds),
            grouped(visible),
            grouped(head),
        ]
    });
    let header = [
        "VIEW",
        "build",
        "ROLE",
        "STATE",
        "events behind",
        "seconds",
        "visible",
        "head",
    ];
    let mut text = table(header, rows);
    for (view, build) in builds {
        for line in standing_still(build) {
            text += &format!("\n {} {}: {line}", view.view, build.build);
        }
    }
    text
}

fn standing_still(build: &BuildLag) -> Vec<String> {
    let stopped = build.lanes.iter().filter_map(|lane| {
        let reason = lane.stopped.as_ref()?;
        Some(format!(
            "lane {} stands at {}: {reason}",
            lane.lane, lane.visible
        ))
    });
    let mut lines: Vec<String> = stopped.collect();
    if lines.len() > NAMED {
        let more = lines.len() - NAMED;
        lines.truncate(NAMED);
        lines.push(format!("and {more} lanes more"));
    }
    lines
}
