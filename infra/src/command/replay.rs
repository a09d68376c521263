//! `tidemark replay`: a view built anew from the events, with a bar while the projectors fill it.

use anyhow::Result;

use crate::{
    cli,
    operation::{
        connection::Connection,
        deployment::Deployment,
        replay::{Replayed, replay},
    },
    output::{self, Bar, grouped},
};

pub(super) async fn run(args: cli::Replay) -> Result<()> {
    let connection = Connection::open(&Deployment::current()?.surroundings).await?;
    let name = args.view.name();
    let mut bar = None;
    let replayed = replay(&connection, args.view, |progress| {
        let bar = bar.get_or_insert_with(|| {
            let text = format!("filling build {} of {name}", progress.build);
            Bar::begin(text, "events", progress.head)
        });
        bar.at(progress.filled, progress.head);
    });
    let replayed = replayed.await?;
    drop(bar);
    output::line(in_words(name, &replayed));
    Ok(())
}

fn in_words(name: &str, replayed: &Replayed) -> String {
    let seconds = replayed.took.as_secs_f64();
    let from = replayed
        .from
        .map(|from| format!(" instead of build {from}"));
    format!(
        "{name} is read from build {}{}: {} events in {seconds:.1} s ({:.0}/s)",
        replayed.to,
        from.unwrap_or_default(),
        grouped(replayed.events),
        replayed.events as f64 / seconds
    )
}
