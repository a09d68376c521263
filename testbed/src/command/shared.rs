//! `testbed shared`: holds a lease on the tests' stack.

use anyhow::Result;

use crate::{output, stack};

pub(super) async fn run() -> Result<()> {
    let stack = stack::shared().await?;
    output::line(serde_json::to_string(stack.endpoints())?);
    output::note("the servers stay until this is interrupted and the last test run has ended");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
