//! `tidemark watch`: the process that the services of `up` belong to.

use anyhow::Result;

use crate::{cli::Watch, operation::watcher};

pub(super) async fn run(args: &Watch) -> Result<()> {
    // Not with the terminal's signals: it outlives whoever has started it. Fails harmlessly when
    // the process leads a group already.
    let _ = nix::unistd::setsid();
    watcher::run(&args.dir).await
}
