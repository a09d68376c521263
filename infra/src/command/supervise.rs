//! `tidemark supervise`: the process that a stack's servers belong to.

use anyhow::{Context, Result};

use crate::{
    cli::Supervise,
    output,
    stack::{spec, supervisor},
};

pub(super) async fn run(args: Supervise) -> Result<()> {
    if args.protocol {
        output::line(spec::PROTOCOL.to_string());
        return Ok(());
    }
    let spec = args.spec.context("nothing to supervise was named")?;
    let spec = serde_json::from_str(&spec).context("reading the specification")?;
    // Not with the terminal's signals: the servers must end in order. Fails harmlessly when the
    // process leads a group already.
    let _ = nix::unistd::setsid();
    supervisor::run(spec).await
}
