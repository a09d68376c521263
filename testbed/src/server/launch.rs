//! Starts a server process through `tidemark run-server`, which gives up root, makes the process
//! end with its supervisor and then becomes the server: all without a line of unsafe code.

use std::{ffi::OsString, fs, fs::File, path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tokio::process::{Child, Command};

use super::{Server, Site, tail};
use crate::{
    environment,
    process::{MARKER, SERVER_MARKER},
};

/// A program with its arguments and surroundings.
#[derive(Debug)]
pub(super) struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    directory: PathBuf,
    on_orphaned: Signal,
}

impl Launch {
    pub(super) fn new(program: PathBuf, directory: PathBuf) -> Self {
        let (args, env) = (Vec::new(), Vec::new());
        Self {
            program,
            args,
            env,
            directory,
            on_orphaned: Signal::SIGKILL,
        }
    }

    pub(super) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// The signal that it gets when its supervisor is gone.
    pub(super) fn on_orphaned(mut self, signal: Signal) -> Self {
        self.on_orphaned = signal;
        self
    }

    /// Must be called on the supervisor's main thread: the process ends with the thread that
    /// started it.
    pub(super) fn spawn(&self, site: &Site, server: Server) -> Result<Child> {
        let log = site.log(server);
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening {}", log.display()))?;
        let program = self.program.display();
        self.command(site, out)?
            .env(SERVER_MARKER, server.name())
            .spawn()
            .with_context(|| format!("starting {program}"))
    }

    /// For the small programs that prepare a data folder.
    pub(super) async fn run_to_end(&self, site: &Site, server: Server) -> Result<()> {
        let status = self.spawn(site, server)?.wait().await?;
        let program = self.program.display();
        ensure!(
            status.success(),
            "{program} failed: {}",
            tail(&site.log(server))
        );
        Ok(())
    }

    fn command(&self, site: &Site, out: File) -> Result<Command> {
        // Not the path: a rebuild replaces the file, and this program must stay what it was.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("run-server")
            .arg("--parent")
            .arg(std::process::id().to_string());
        command.arg("--on-orphaned").arg(self.on_orphaned.as_str());
        if let Some(user) = site.user {
            command.arg("--uid").arg(user.uid.to_string());
            command.arg("--gid").arg(user.gid.to_string());
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command
            .env_clear()
            .env("PATH", environment::path())
            .env(MARKER, &site.dir);
        command
            .env("HOME", site.scratch())
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC");
        command.envs(self.env.iter().map(|(name, value)| (*name, value)));
        fs::create_dir_all(&self.directory)?;
        command.current_dir(&self.directory);
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Ok(command)
    }
}
