//! The three servers: how each is prepared, started, asked whether it is ready, and stopped.
//! Only a supervisor runs servers; everybody else asks one.

mod elasticsearch;
mod kafka;
mod launch;
mod postgres;

use std::{
    fmt, fs,
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::Child;

pub use self::{
    elasticsearch::SETTINGS as ELASTICSEARCH_SETTINGS, kafka::SETTINGS as KAFKA_SETTINGS,
    postgres::SETTINGS as POSTGRES_SETTINGS,
};
use crate::{
    artifact::Artifacts,
    endpoints::Endpoints,
    log,
    ports::Ports,
    process::{self, Identity},
    restart,
    security::Security,
    user::{self, ServerUser},
};

const START_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// Of a log, in an error message.
const LINES_SHOWN: usize = 12;

/// One of the three, or a second node of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    Postgres,
    Kafka,
    Elasticsearch,
    /// Joins the cluster of the first, and keeps copies of what that holds: for tests of copies.
    SecondElasticsearch,
}

impl Server {
    /// Those that every stack runs.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Kafka, Self::Elasticsearch];

    /// In file names, logs and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Elasticsearch => "elasticsearch",
            Self::SecondElasticsearch => "elasticsearch-2",
        }
    }

    /// Asks it to end in good order.
    fn clean_signal(self) -> Signal {
        match self {
            Self::Postgres => Signal::SIGINT,
            Self::Kafka | Self::Elasticsearch | Self::SecondElasticsearch => Signal::SIGTERM,
        }
    }

    /// Ends it at once. PostgreSQL is asked, so that it gives its shared memory back.
    fn immediate_signal(self) -> Signal {
        match self {
            Self::Postgres => Signal::SIGQUIT,
            Self::Kafka | Self::Elasticsearch | Self::SecondElasticsearch => Signal::SIGKILL,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the servers of one stack need to know.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) artifacts: Artifacts,
    pub(crate) user: Option<ServerUser>,
    pub(crate) security: Option<Security>,
    /// Whether a second node of Elasticsearch may join the first.
    pub(crate) second_elasticsearch: bool,
}

impl Site {
    pub(crate) fn data(&self, server: Server) -> PathBuf {
        self.dir.join("data").join(server.name())
    }

    /// For native libraries and the like.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.join("data/tmp")
    }

    /// Copies a file to where only the server may read it.
    fn secret(&self, server: Server, from: &Path, name: &str) -> Result<PathBuf> {
        let text = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        self.write_secret(server, name, &text)
    }

    fn write_secret(&self, server: Server, name: &str, text: &[u8]) -> Result<PathBuf> {
        let dir = self.data(server).join("secret");
        user::create_dir_for(self.user, &dir)?;
        let file = dir.join(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        user::give_to(self.user, &file)?;
        Ok(file)
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::new(self.ports, self.security.clone())
    }

    pub(crate) fn log(&self, server: Server) -> PathBuf {
        self.dir.join("logs").join(format!("{server}.log"))
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self, server: Server) -> Vec<String> {
        log::last_lines(&self.log(server), LINES_SHOWN)
    }
}

/// How a server is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In good order: data is written out.
    Clean,
    /// At once, without leaving anything behind outside its folder.
    Immediate,
    /// As if the power had gone.
    Kill,
}

/// A server that was started.
#[derive(Debug)]
pub(crate) struct Running {
    server: Server,
    child: Child,
    pub(crate) identity: Identity,
}

impl Running {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(server: Server, site: &Site) -> Result<Self> {
        let launch = match server {
            Server::Postgres => postgres::prepare(site).await,
            Server::Kafka => kafka::prepare(site).await,
            Server::Elasticsearch => elasticsearch::prepare(site),
            Server::SecondElasticsearch => elasticsearch::prepare_second(site),
        };
        let launch = launch.with_context(|| format!("preparing {server}"))?;
        let child = launch.spawn(site, server)?;
        let identity = child
            .id()
            .and_then(Identity::of)
            .with_context(|| format!("{server} ended at once: {}", tail(&site.log(server))))?;
        let mut running = Self {
            server,
            child,
            identity,
        };
        let ready = running.await_ready(site).await;
        if ready.is_err() {
            running.end(Ending::Immediate).await;
        }
        ready.map(|()| running)
    }

    /// Whether it has ended without having been told to.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(restart::in_words(status)),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Stops all its processes from running, without ending them.
    pub(crate) fn pause(&self) {
        process::signal_all(&self.identity.tree(), Signal::SIGSTOP);
    }

    /// The opposite of `pause`.
    pub(crate) fn resume(&self) {
        process::signal_all(&self.identity.tree(), Signal::SIGCONT);
    }

    /// Ends it, by force if it takes too long.
    pub(crate) async fn end(&mut self, ending: Ending) {
        let tree = self.identity.tree();
        process::signal_all(&tree, Signal::SIGCONT);
        let (signal, limit) = match ending {
            Ending::Clean => (self.server.clean_signal(), STOP_LIMIT),
            Ending::Immediate => (self.server.immediate_signal(), Duration::from_secs(5)),
            Ending::Kill => (Signal::SIGKILL, Duration::ZERO),
        };
        if signal == Signal::SIGKILL {
            process::signal_all(&tree, signal);
        } else {
            self.identity.signal(signal);
        }
        if tokio::time::timeout(limit, self.child.wait())
            .await
            .is_err()
        {
            process::signal_all(&tree, Signal::SIGKILL);
            let _ = self.child.wait().await;
        }
        if !process::wait_gone(&tree, limit).await {
            process::signal_all(&tree, Signal::SIGKILL);
            process::wait_gone(&tree, Duration::from_secs(5)).await;
        }
    }

    async fn await_ready(&mut self, site: &Site) -> Result<()> {
        let server = self.server;
        let deadline = Instant::now() + START_LIMIT;
        let endpoints = site.endpoints();
        loop {
            let Err(reason) = check(server, &endpoints).await else {
                return Ok(());
            };
            if self.has_ended() {
                bail!("{server} ended while starting: {}", tail(&site.log(server)));
            }
            if Instant::now() >= deadline {
                let log = tail(&site.log(server));
                return Err(reason.context(format!("{server} does not become ready: {log}")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks a server for a small thing.
pub(crate) async fn check(server: Server, endpoints: &Endpoints) -> Result<()> {
    let question = async {
        match server {
            Server::Postgres => postgres::check(endpoints).await,
            Server::Kafka => kafka::check(endpoints).await,
            Server::Elasticsearch => elasticsearch::check(endpoints).await,
            Server::SecondElasticsearch => elasticsearch::check_joined(endpoints).await,
        }
    };
    tokio::time::timeout(Duration::from_secs(5), question)
        .await
        .with_context(|| format!("{server} does not answer in time"))?
}

/// The end of a log, for an error message.
fn tail(log: &Path) -> String {
    let lines = log::last_lines(log, LINES_SHOWN);
    format!(
        "the end of its log, {}:\n{}",
        log.display(),
        lines.join("\n")
    )
}
