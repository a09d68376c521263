//! A stack of one's own, kept until this process ends, however it ends.

use std::io::Write;

use testbed::stack::{Stack, StackOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::to_string(stack.endpoints())?
    )?;
    tokio::signal::ctrl_c().await?;
    stack.stop().await
}
