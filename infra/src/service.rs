//! Tidemark's own services as processes: built by cargo, told where the servers are, started on any
//! or a given port, found ready, paused, ended. `tidemark up` and the end-to-end tests share it.

mod build;
mod variables;

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use testbed::{
    log,
    namespace::Surroundings,
    process::{Identity, wait_gone},
    program::bound_by,
};
use tokio::process::Child;

pub use self::build::{Profile, build, build_showing};

const LISTENS_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// Of a log, when its process has ended.
const LINES_SHOWN: usize = 20;

/// What there is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    CommandSvc,
    Projector,
    QuerySvc,
}

impl Service {
    /// In the order in which they are started: command-svc migrates the database and makes topics.
    pub const ALL: [Self; 3] = [Self::CommandSvc, Self::Projector, Self::QuerySvc];

    /// Name of the package, the program and the service.
    pub fn name(self) -> &'static str {
        match self {
            Self::CommandSvc => "command-svc",
            Self::Projector => "projector",
            Self::QuerySvc => "query-svc",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Self::CommandSvc => 8081,
            Self::QuerySvc => 8082,
            Self::Projector => 8083,
        }
    }
}

/// One process to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub service: Service,
    /// 0 takes any free port.
    pub port: u16,
    pub program: PathBuf,
    /// Output goes to `<name>.out` and the log to `<name>.log` in here.
    pub logs: PathBuf,
    /// Tells replicas apart in the names of logs.
    pub replica: u16,
    /// Beyond what `Surroundings` says.
    pub variables: Vec<(String, String)>,
    /// Whether it ends with the process (and thread) that starts it, also when that is killed.
    pub attached: bool,
}

/// A service that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    pub service: Service,
    pub replica: u16,
    pub url: String,
    pub(crate) identity: Identity,
}

impl Launch {
    /// Starts the process and waits until it listens. It may not be ready yet.
    pub async fn start(&self, surroundings: &Surroundings) -> Result<Running> {
        let (mut child, identity) = self.spawn(surroundings)?;
        let url = match self.listening(&mut child).await {
            Ok(url) => url,
            Err(error) => {
                identity.signal(Signal::SIGKILL);
                return Err(error);
            }
        };
        reap(child);
        Ok(Running {
            service: self.service,
            replica: self.replica,
            url,
            identity,
        })
    }

    /// Starts the process.
    pub(crate) fn spawn(&self, surroundings: &Surroundings) -> Result<(Child, Identity)> {
        fs::create_dir_all(&self.logs)
            .with_context(|| format!("creating {}", self.logs.display()))?;
        let log = self.file("log");
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = self.command(surroundings)?;
        command
            .stdin(Stdio::null())
            .stdout(File::create(self.file("out"))?)
            .stderr(log);
        let child = tokio::process::Command::from(command)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let identity = child.id().and_then(Identity::of);
        Ok((child, identity.context("the process ended at once")?))
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        log::last_lines(&self.file("log"), LINES_SHOWN)
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.logs
            .join(format!("{}-{}.{kind}", self.service.name(), self.replica))
    }

    fn command(&self, surroundings: &Surroundings) -> Result<Command> {
        let mut command = if self.attached {
            let mut command = bound_by(Signal::SIGKILL)?;
            command.arg(&self.program);
            command
        } else {
            let mut command = Command::new(&self.program);
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command
        };
        command
            .env("BIND", format!("127.0.0.1:{}", self.port))
            .envs(variables::variables(surroundings, self.service))
            .envs(self.variables.iter().cloned());
        Ok(command)
    }

    /// The address that it prints once it has bound.
    async fn listening(&self, child: &mut Child) -> Result<String> {
        let deadline = Instant::now() + LISTENS_WITHIN;
        let out = self.file("out");
        loop {
            let printed = fs::read_to_string(&out).unwrap_or_default();
            let mut urls = printed
                .lines()
                .filter_map(|line| line.strip_prefix("listening on "));
            if let Some(url) = urls.next() {
                return Ok(url.trim().to_owned());
            }
            if let Some(status) = child.try_wait()? {
                bail!(
                    "{} ended at once ({status}):\n{}",
                    self.service.name(),
                    self.last_lines().join("\n")
                );
            }
            ensure!(
                Instant::now() < deadline,
                "{} does not listen",
                self.service.name()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Running {
    pub fn is_alive(&self) -> bool {
        self.identity.is_alive()
    }

    /// The number by which the system knows it.
    pub fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Whether `/readyz` answers 200.
    pub async fn is_ready(&self) -> bool {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build();
        let Ok(client) = client else { return false };
        let answer = client.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits until it is ready; the error says what it was waiting for.
    pub async fn ready(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.is_ready().await {
            let name = self.service.name();
            ensure!(self.is_alive(), "{name} has ended");
            if Instant::now() >= deadline {
                let why = reqwest::get(format!("{}/readyz", self.url)).await;
                let why = match why {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                bail!("{name} is not ready: {why}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&self) -> Result<()> {
        self.identity.signal(Signal::SIGTERM);
        if !wait_gone(&[self.identity], ENDS_WITHIN).await {
            self.kill().await?;
            bail!(
                "{} had to be killed: it did not drain in time",
                self.service.name()
            );
        }
        Ok(())
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(&self) -> Result<()> {
        self.identity.signal(Signal::SIGKILL);
        ensure!(
            wait_gone(&[self.identity], ENDS_WITHIN).await,
            "a killed process is still there"
        );
        Ok(())
    }

    pub fn pause(&self) {
        self.identity.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.identity.signal(Signal::SIGCONT);
    }
}

/// A child that ends must be waited for, or it stays as a zombie and never counts as gone.
pub(crate) fn reap(mut child: Child) {
    tokio::spawn(async move { child.wait().await });
}
