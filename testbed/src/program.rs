//! Programs of this workspace that others start: found beside the running one, built where missing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::{environment, output::Step};

/// Raised with every change of what a supervisor is told, or tells: one of another build is not
/// used.
pub(crate) const PROTOCOL: u32 = 4;

/// What runs servers: `testbed supervise` and `testbed run-server`.
pub const SERVERS: Program = Program {
    name: "testbed",
    package: "testbed",
};

/// Those that can run servers.
const ABLE: [&str; 2] = ["testbed", "tidemark"];

#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
}

impl Program {
    /// A command of the program; an attached one gets SIGTERM when the thread that starts it has
    /// ended.
    pub async fn command(self, attached: bool) -> Result<Command> {
        let program = tokio::task::spawn_blocking(move || self.find()).await??;
        if !attached {
            return Ok(Command::new(program));
        }
        let mut command = bound_by(Signal::SIGTERM)?;
        command.arg(program);
        Ok(command)
    }

    /// This one where it is able, else the one that cargo has put beside the running test, built if
    /// it is not there or of another time.
    fn find(self) -> Result<PathBuf> {
        let this = std::env::current_exe().context("finding this program's file")?;
        let name = this.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| ABLE.contains(&name)) {
            return Ok(PathBuf::from("/proc/self/exe"));
        }
        let dir = this.parent().context("this program is in no folder")?;
        let profile = match dir.file_name().and_then(|name| name.to_str()) {
            Some("deps" | "examples") => dir.parent().context("the profile's folder is missing")?,
            _ => dir,
        };
        let program = profile.join(self.name);
        if !understands(&program) {
            self.build(profile)?;
            ensure!(
                understands(&program),
                "{} is of another version",
                program.display()
            );
        }
        Ok(program)
    }

    fn build(self, profile: &Path) -> Result<()> {
        let target = profile
            .parent()
            .context("the profile's folder is in no folder")?;
        let name = profile
            .file_name()
            .context("the profile has no name")?
            .to_string_lossy();
        let name = if name == "debug" { "dev" } else { &name };
        let step = Step::begin(format!("building {}", self.name));
        let status = environment::cargo()
            .args(["build", "--quiet", "--package", self.package, "--bin"])
            .args([self.name, "--profile", name, "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .status()
            .context("running cargo")?;
        ensure!(status.success(), "cargo could not build {}", self.name);
        step.done();
        Ok(())
    }
}

/// A command that becomes the program in its first argument, and gets the signal when the thread
/// that starts it has ended.
pub fn bound_by(signal: Signal) -> Result<Command> {
    let mut command = Command::new(SERVERS.find()?);
    command.args(["run-server", "--on-orphaned", signal.as_str(), "--parent"]);
    command.arg(std::process::id().to_string()).arg("--");
    Ok(command)
}

fn understands(program: &Path) -> bool {
    let output = Command::new(program)
        .args(["supervise", "--protocol"])
        .output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == PROTOCOL.to_string().as_bytes())
}
