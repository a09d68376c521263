//! A stack of one's own, whose servers may be stopped, killed and paused.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    client,
    control::{Action, Answer, Request},
    spec::{Folder, Keep, Lifetime, Phase, Spec},
    supervisor,
};
use crate::{
    artifact, endpoints::Endpoints, environment, ports::Ports, security::Security, server::Server,
};

/// A stack's folder without a sign of life is abandoned after this time.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);

/// How to start a private stack.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Where the data is kept; by default in a new folder that is removed with the stack.
    pub data_dir: Option<PathBuf>,
    /// By default free ones.
    pub ports: Option<Ports>,
    /// Where the servers are to let nobody in without it.
    pub security: Option<Security>,
    /// Whether a second node of Elasticsearch may join the first. It does when it is started.
    pub second_elasticsearch: bool,
}

/// A stack that belongs to this value: dropping it kills the servers, `stop` ends them in order,
/// and they end as well when this process is killed.
#[derive(Debug)]
pub struct Stack {
    endpoints: Endpoints,
    folder: Folder,
    supervisor_pid: u32,
    channel: Arc<Mutex<Channel>>,
}

#[derive(Debug)]
struct Channel {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Stack {
    /// Starts the three servers and waits until they answer.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let artifacts = artifact::ensure().await?;
        let stacks = environment::cache_dir()?.join("stacks");
        remove_abandoned(&stacks).await;
        let keep = if options.data_dir.is_some() {
            Keep::Everything
        } else {
            Keep::Nothing
        };
        let dir = options.data_dir.unwrap_or_else(|| {
            stacks.join(format!(
                "private-{}-{:08x}",
                std::process::id(),
                rand::random::<u32>()
            ))
        });
        let dir = std::path::absolute(dir)?;
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let ports = options.ports.map_or_else(Ports::free, Ok)?;
        let spec = Spec {
            dir,
            ports,
            artifacts,
            lifetime: Lifetime::Owner,
            keep,
            security: options.security,
            second_elasticsearch: options.second_elasticsearch,
        };
        let mut child = client::spawn(&spec, false).await?;
        let ready = client::await_ready(&Folder::new(&spec.dir), Some(&mut child)).await;
        if ready.is_err() && keep == Keep::Nothing {
            let _ = child.wait();
            let _ = fs::remove_dir_all(&spec.dir);
        }
        ready?;
        let supervisor_pid = child.id();
        let channel = Arc::new(Mutex::new(Channel::new(child)?));
        Ok(Self {
            endpoints: Endpoints::new(ports, spec.security),
            folder: Folder::new(spec.dir),
            supervisor_pid,
            channel,
        })
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Where a server keeps its data: for those who lose it, while the server is stopped.
    pub fn data_of(&self, server: Server) -> PathBuf {
        self.folder.data().join(server.name())
    }

    /// The process that the servers belong to.
    pub fn supervisor_pid(&self) -> u32 {
        self.supervisor_pid
    }

    /// Stops a server in good order; its data and ports stay its own.
    pub async fn stop_server(&self, server: Server) -> Result<()> {
        self.ask(Action::Stop, Some(server)).await
    }

    /// Starts a server that was stopped or killed, and waits until it answers.
    pub async fn start_server(&self, server: Server) -> Result<()> {
        self.ask(Action::Start, Some(server)).await
    }

    /// Ends all processes of a server with SIGKILL.
    pub async fn kill_server(&self, server: Server) -> Result<()> {
        self.ask(Action::Kill, Some(server)).await
    }

    /// Stops all processes of a server from running: connections stay, answers do not come.
    pub async fn pause_server(&self, server: Server) -> Result<()> {
        self.ask(Action::Pause, Some(server)).await
    }

    /// Lets a paused server go on.
    pub async fn resume_server(&self, server: Server) -> Result<()> {
        self.ask(Action::Resume, Some(server)).await
    }

    /// Stops all servers in good order.
    pub async fn stop(self) -> Result<()> {
        self.ask(Action::Stop, None).await?;
        let channel = Arc::clone(&self.channel);
        let wait = move || {
            Ok(channel
                .lock()
                .map_err(|_| broken())?
                .child
                .wait()
                .map(drop)?)
        };
        tokio::task::spawn_blocking(wait).await?
    }

    async fn ask(&self, action: Action, server: Option<Server>) -> Result<()> {
        let channel = Arc::clone(&self.channel);
        let request = Request { action, server };
        let ask = move || channel.lock().map_err(|_| broken())?.ask(request);
        tokio::task::spawn_blocking(ask).await?
    }
}

/// The end of the pipe tells the supervisor to end everything; waiting for it leaves no zombie.
impl Drop for Stack {
    fn drop(&mut self) {
        if let Ok(mut channel) = self.channel.lock() {
            channel.requests = None;
            let _ = channel.child.wait();
        }
    }
}

impl Channel {
    fn new(mut child: Child) -> Result<Self> {
        let requests = child.stdin.take();
        let answers = child
            .stdout
            .take()
            .context("the supervisor has no stdout")?;
        Ok(Self {
            child,
            requests,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, request: Request) -> Result<()> {
        let requests = self
            .requests
            .as_mut()
            .context("the stack has been stopped")?;
        writeln!(requests, "{}", serde_json::to_string(&request)?)
            .context("the supervisor has ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the supervisor has ended");
        let answer: Answer = serde_json::from_str(&line)?;
        answer.error.map_or(Ok(()), |error| Err(anyhow!(error)))
    }
}

fn broken() -> anyhow::Error {
    anyhow!("an earlier request to the supervisor has panicked")
}

/// Removes what killed supervisors have left; those of killed owners clean up themselves.
async fn remove_abandoned(stacks: &Path) {
    for entry in fs::read_dir(stacks).into_iter().flatten().flatten() {
        let folder = Folder::new(entry.path());
        let private = entry.file_name().to_string_lossy().starts_with("private-");
        if private && is_abandoned(&folder) {
            supervisor::end_leftovers(&folder).await;
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

/// A folder is older than its supervisor, and one that has failed is for its owner to read and
/// remove, so without a supervisor that was well the age decides.
fn is_abandoned(folder: &Folder) -> bool {
    if folder.is_supervised().unwrap_or(true) {
        return false;
    }
    match folder.state() {
        Some(state) if !matches!(state.phase, Phase::Failed(_)) => !state.supervisor.is_alive(),
        _ => {
            let changed = fs::metadata(folder.path()).and_then(|dir| dir.modified());
            changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED_AFTER))
        }
    }
}
