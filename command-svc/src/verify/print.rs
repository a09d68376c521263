//! `command-svc verify`: each difference and then the totals as JSON, a line each, on stdout.

use std::io::Write;

use anyhow::Context;
use chassis::config::PostgresArgs;
use chassis::postgres::{Session, Target, connect_alone};
use tokio::runtime::Handle;

use super::Verified;

/// Fails where there are differences.
pub async fn print(postgres: &PostgresArgs) -> anyhow::Result<()> {
    let target = Target::new(
        &postgres.database_url,
        "command-svc-verify",
        Session::Unlimited,
    )?;
    let mut connection = connect_alone(&target, &Handle::current()).await?;
    let mut told = Ok(());
    let verified = super::rows(&mut connection.client, |difference| {
        if told.is_ok() {
            told = print_line(&difference);
        }
    });
    let verified: Verified = verified.await?;
    told.context("print the differences")?;
    print_line(&verified).context("print the totals")?;
    anyhow::ensure!(
        verified.differences == 0,
        "{} differences",
        verified.differences
    );
    Ok(())
}

fn print_line(line: &impl serde::Serialize) -> std::io::Result<()> {
    let line = serde_json::to_string(line)?;
    writeln!(std::io::stdout(), "{line}")
}
