//! The services' programs, built by cargo.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use testbed::environment;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::Service;

/// Of what cargo says, for when it fails.
const LINES_KEPT: usize = 200;

/// Builds the programs of all services and answers the folder that they are in.
pub async fn build(profile: Profile) -> Result<PathBuf> {
    build_showing(profile, |_| {}).await
}

/// The same, telling what cargo says while it builds, line by line.
pub async fn build_showing(profile: Profile, mut show: impl FnMut(&str)) -> Result<PathBuf> {
    let workspace = workspace()?;
    let target = environment::target_dir().unwrap_or_else(|| workspace.join("target"));
    let mut cargo = cargo_build(profile, &workspace, &target);
    cargo.stderr(Stdio::piped());
    let mut cargo = tokio::process::Command::from(cargo)
        .kill_on_drop(true)
        .spawn()
        .context("running cargo")?;
    let stderr = cargo.stderr.take().context("cargo says nothing")?;
    let mut lines = BufReader::new(stderr).lines();
    let mut said = VecDeque::new();
    while let Some(line) = lines.next_line().await? {
        show(&line);
        said.push_back(line);
        if said.len() > LINES_KEPT {
            said.pop_front();
        }
    }
    let status = cargo.wait().await?;
    ensure!(
        status.success(),
        "cargo could not build the services:\n{}",
        said.make_contiguous().join("\n")
    );
    Ok(target.join(profile.folder()))
}

/// How to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// The one that this program was built with.
    pub fn own() -> Self {
        if cfg!(debug_assertions) {
            Self::Dev
        } else {
            Self::Release
        }
    }

    /// As cargo calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// Where cargo puts what it builds so.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

fn cargo_build(profile: Profile, workspace: &Path, target: &Path) -> Command {
    let mut command = environment::cargo();
    // Together with this package, so that what both depend on is built once, with the same features.
    let own = env!("CARGO_PKG_NAME");
    command.args([
        "build",
        "--bins",
        "--profile",
        profile.name(),
        "--package",
        own,
    ]);
    for service in Service::ALL {
        command.args(["--package", service.name()]);
    }
    command
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace)
        .stdin(Stdio::null());
    command
}

/// The folder of the sources; programs that were taken elsewhere lie beside each other instead.
fn workspace() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent()
        .map(Path::to_owned)
        .context("the workspace's folder is missing")
}
