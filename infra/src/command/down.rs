//! `tidemark down`: ends what `up` started, in good order.

use anyhow::Result;
use testbed::{environment, stack::LocalStack};

use crate::{cli::Down, operation::services, output};

pub(super) async fn run(args: Down) -> Result<()> {
    let services = services::stop(&environment::state_dir()?).await?;
    let servers = LocalStack::of_user()?;
    let was_running = servers.down().await? || services > 0;
    if args.wipe {
        servers.wipe()?;
    }
    output::note(match (was_running, args.wipe) {
        (true, false) => "stopped; the data stays, `down --wipe` deletes it",
        (true, true) => "stopped, and the data deleted",
        (false, false) => "nothing was running",
        (false, true) => "nothing was running; the data is deleted",
    });
    Ok(())
}
