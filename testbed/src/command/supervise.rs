//! `testbed supervise`: the process that a stack's servers belong to.

use anyhow::{Context, Result};

use crate::{
    cli::Supervise,
    output,
    stack::{spec, supervisor},
};

pub async fn run(args: Supervise) -> Result<()> {
    if args.protocol {
        output::line(spec::PROTOCOL.to_string());
        return Ok(());
    }
    let spec = args.spec.context("nothing to supervise was named")?;
    let spec = serde_json::from_str(&spec).context("reading the specification")?;
    // Signals of the terminal must not reach it: it ends the servers in order. This fails where the
    // process leads a group already, and then changes nothing.
    let _ = nix::unistd::setsid();
    supervisor::run(spec).await
}
