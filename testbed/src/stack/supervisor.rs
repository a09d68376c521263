//! The supervisor: starts the servers of one stack, obeys its owner, and ends them when nobody
//! needs them any more. It holds the folder's `supervisor` lock for all its life, so a process that can
//! take that lock knows that the stack is down.

mod keep;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use nix::sys::signal::Signal;
use tokio::sync::{Mutex, Notify};

use super::{
    control::{Action, Answer, Request},
    spec::{Folder, Keep, Lifetime, PROTOCOL, Phase, Spec, State},
    wishes::{Wish, Wishes},
};
use crate::{
    output,
    process::{self, Identity},
    restart::Restarts,
    server::{Ending, Running, Server, Site},
    user,
};

/// How long the shared stack outlives its last user.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Runs a stack from start to end.
pub(crate) async fn run(spec: Spec) -> Result<()> {
    let folder = Folder::new(&spec.dir);
    let lock = folder.supervisor()?;
    ensure!(
        lock.try_lock().is_ok(),
        "{} is supervised already",
        spec.dir.display()
    );
    let before = folder.state();
    end_leftovers(&folder).await;
    let supervisor = Supervisor::new(spec, folder)?;
    supervisor.inherit(before);
    supervisor.tell(Phase::Starting)?;
    let mut wishes = Wishes::listen(supervisor.spec.lifetime)?;
    let started = tokio::select! {
        started = supervisor.start_all() => started.map(|()| true),
        () = wishes.end() => Ok(false),
    };
    let ending = match started {
        Ok(true) => supervisor.serve(&mut wishes).await?,
        Ok(false) => supervisor.last_ending(),
        Err(error) => {
            supervisor.end_all(Ending::Immediate).await;
            // The folder stays, so that the message and the logs can be read.
            supervisor.tell(Phase::Failed(format!("{error:#}")))?;
            return Err(error);
        }
    };
    supervisor.end_all(ending).await;
    supervisor.clean_up();
    drop(lock);
    Ok(())
}

/// Ends servers that have outlived a supervisor of the same folder.
pub(crate) async fn end_leftovers(folder: &Folder) {
    let left = process::leftovers(folder.path());
    process::signal_all(&left, Signal::SIGCONT);
    process::signal_all(&left, Signal::SIGKILL);
    process::wait_gone(&left, Duration::from_secs(10)).await;
    folder.remove_state();
}

struct Supervisor {
    spec: Spec,
    folder: Folder,
    site: Site,
    /// Locked while a server is being started or ended.
    running: BTreeMap<Server, Mutex<Option<Running>>>,
    restarts: RefCell<BTreeMap<Server, Restarts>>,
    /// Told when pauses shall end.
    hurry: Notify,
}

impl Supervisor {
    fn new(spec: Spec, folder: Folder) -> Result<Self> {
        if spec.keep != Keep::Everything && folder.data().exists() {
            fs::remove_dir_all(folder.data()).context("removing an earlier stack's data")?;
        }
        let site = Site {
            dir: spec.dir.clone(),
            ports: spec.ports,
            artifacts: spec.artifacts.clone(),
            security: spec.security.clone(),
            second_elasticsearch: spec.second_elasticsearch,
            user: user::ServerUser::current()?,
        };
        user::check_reachable(site.user, &spec.dir)?;
        fs::create_dir_all(folder.logs())?;
        user::create_dir_for(site.user, &site.scratch())?;
        spec.ports.check()?;
        let servers = Server::ALL.into_iter().chain([Server::SecondElasticsearch]);
        let running = servers.map(|server| (server, Mutex::new(None))).collect();
        Ok(Self {
            spec,
            folder,
            site,
            running,
            restarts: RefCell::default(),
            hurry: Notify::new(),
        })
    }

    /// All side by side: they do not need each other.
    async fn start_all(&self) -> Result<()> {
        try_join_all(Server::ALL.map(|server| self.start(server))).await?;
        self.tell(Phase::Ready)
    }

    async fn start(&self, server: Server) -> Result<()> {
        let mut running = self.running[&server].lock().await;
        ensure!(running.is_none(), "{server} is running already");
        let began = Instant::now();
        *running = Some(Running::start(server, &self.site).await?);
        output::note(format!(
            "{server} is ready after {:.1} s",
            began.elapsed().as_secs_f32()
        ));
        Ok(())
    }

    async fn end(&self, server: Server, ending: Ending) {
        if let Some(mut running) = self.running[&server].lock().await.take() {
            running.end(ending).await;
            output::note(format!("{server} has ended"));
        }
    }

    async fn end_all(&self, ending: Ending) {
        let servers = self.running.keys();
        join_all(servers.map(|server| self.end(*server, ending))).await;
        end_leftovers(&self.folder).await;
    }

    /// Until somebody wishes the end.
    async fn serve(&self, wishes: &mut Wishes) -> Result<Ending> {
        let lease = self.folder.lease()?;
        let mut used_at = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut keeping = pin!(self.keep_all());
        loop {
            tokio::select! {
                () = &mut keeping => {}
                wish = wishes.next() => match wish {
                    Wish::Ask(Request { action: Action::Stop, server: None }) => {
                        self.end_all(Ending::Clean).await;
                        answer(Ok(()));
                        return Ok(Ending::Clean);
                    }
                    Wish::Ask(request) => answer(self.obey(request).await),
                    Wish::Hurry => self.hurry.notify_waiters(),
                    Wish::End => return Ok(self.last_ending()),
                },
                _ = tick.tick(), if self.spec.lifetime == Lifetime::Leases => {
                    if lease.try_lock().is_err() {
                        used_at = Instant::now();
                    } else if used_at.elapsed() >= IDLE_LIMIT || self.has_lost_a_server().await {
                        output::note("the servers are of no more use");
                        // The lease stays taken: who wants one now waits until this stack is gone.
                        self.end_all(Ending::Immediate).await;
                        self.clean_up();
                        return Ok(Ending::Immediate);
                    } else {
                        lease.unlock()?;
                    }
                }
            }
        }
    }

    async fn obey(&self, request: Request) -> Result<()> {
        let server = request.server.context("no server was named")?;
        match request.action {
            Action::Start => self.start(server).await?,
            Action::Stop => self.end(server, Ending::Clean).await,
            Action::Kill => self.end(server, Ending::Kill).await,
            Action::Pause => self.with_running(server, Running::pause).await?,
            Action::Resume => self.with_running(server, Running::resume).await?,
        }
        self.tell(Phase::Ready)
    }

    async fn with_running(&self, server: Server, act: impl FnOnce(&Running)) -> Result<()> {
        let running = self.running[&server].lock().await;
        act(running
            .as_ref()
            .with_context(|| format!("{server} is not running"))?);
        Ok(())
    }

    async fn has_lost_a_server(&self) -> bool {
        for running in self.running.values() {
            if running
                .lock()
                .await
                .as_mut()
                .is_some_and(Running::has_ended)
            {
                return true;
            }
        }
        false
    }

    /// Data that is thrown away need not be written out first.
    fn last_ending(&self) -> Ending {
        match self.spec.keep {
            Keep::Everything => Ending::Clean,
            Keep::Logs | Keep::Nothing => Ending::Immediate,
        }
    }

    fn tell(&self, phase: Phase) -> Result<()> {
        let mut servers = BTreeMap::new();
        for (server, running) in &self.running {
            let running = running.try_lock().ok();
            if let Some(running) = running.as_ref().and_then(|running| running.as_ref()) {
                servers.insert(*server, running.identity);
            }
        }
        self.folder.write_state(&State {
            protocol: PROTOCOL,
            supervisor: Identity::of(std::process::id()).context("finding oneself in /proc")?,
            ports: self.spec.ports,
            phase,
            servers,
            restarts: self.restarts.borrow().clone(),
        })
    }

    fn clean_up(&self) {
        self.folder.remove_state();
        let removed = match self.spec.keep {
            Keep::Everything => Ok(()),
            Keep::Logs => remove_if_there(&self.folder.data()),
            Keep::Nothing => remove_if_there(self.folder.path()),
        };
        if let Err(error) = removed {
            output::note(format!("the stack's data could not be removed: {error}"));
        }
    }
}

fn remove_if_there(dir: &Path) -> std::io::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)
    } else {
        Ok(())
    }
}

fn answer(result: Result<()>) {
    let answer = Answer {
        error: result.err().map(|error| format!("{error:#}")),
    };
    output::line(serde_json::to_string(&answer).expect("an optional text is always JSON"));
}
