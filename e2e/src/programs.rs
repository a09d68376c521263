//! The services' programs, as the test command builds them: with their crash points.
//!
//! Cargo builds the programs of a package for that package's own tests alone. So the very command
//! that runs all tests is asked to build: after it, there is nothing left to do, and alone it makes
//! what it would make.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testbed::environment;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The folder that holds them; built once for a run of the tests.
pub async fn folder() -> Result<PathBuf> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    FOLDER.get_or_try_init(build).await.cloned()
}

async fn build() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program's file")?;
    let profile = this
        .ancestors()
        .nth(2)
        .context("tests lie below the profile's folder")?;
    let target = profile
        .parent()
        .context("the profile's folder lies in cargo's")?;
    let mut command = Command::from(environment::cargo());
    command
        .args(["test", "--workspace", "--no-run", "--quiet", "--target-dir"])
        .arg(target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .status()
        .await
        .context("running cargo")?;
    ensure!(status.success(), "cargo could not build the services");
    Ok(profile.to_owned())
}
