//! `tidemark watch`: the process that the services of `up` belong to.

use anyhow::Result;

use crate::{cli::Watch, operation::watcher};

pub(super) async fn run(args: &Watch) -> Result<()> {
    // Signals of the terminal must not reach it: it outlives the command that started it. This
    // fails where the process leads a group already, and then changes nothing.
    let _ = nix::unistd::setsid();
    watcher::run(&args.dir).await
}
