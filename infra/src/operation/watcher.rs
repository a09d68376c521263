//! The process behind `tidemark up`: starts the services of a deployment, and starts again, after a
//! growing pause, those that end by themselves.
//!
//! What it starts is noted before it does anything else, and lives on when it is killed. So the
//! next watcher takes the living processes over and starts only what is missing.

use std::{
    cell::RefCell,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chassis::clock;
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use nix::sys::signal::Signal;
use testbed::{
    process::{self, Identity},
    program::Program,
    restart::{self, Backoff, End},
};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use super::deployment::{self, Deployment, Plan, Slot, Watched};
use crate::{
    output,
    service::{self, Launch, Running},
};

/// Between two looks at a process that is not a child.
/// What watches: `tidemark watch`.
const TIDEMARK: Program = Program {
    name: "tidemark",
    package: "infra",
};
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of a process that an earlier watcher has started.
const UNSEEN: &str = "unknown, since the watcher that started it had ended";

/// Starts a watcher. An attached one ends, and the services with it, with the thread that starts it.
pub(super) async fn spawn(dir: &Path, attached: bool) -> Result<()> {
    let mut command = TIDEMARK.command(attached).await?;
    let logs = logs(dir);
    fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
    let log = File::create(log_of(dir))?;
    command
        .arg("watch")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/");
    let child = tokio::process::Command::from(command).spawn();
    service::reap(child.context("starting the watcher")?);
    Ok(())
}

/// Runs until SIGTERM, which ends the services too. SIGHUP tells that the plan has grown, and that
/// what waits for its next start shall wait no longer.
pub(crate) async fn run(dir: &Path) -> Result<()> {
    let _only_one = deployment::watch(dir)?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let watcher = Watcher::new(dir)?;
    let mut lives = FuturesUnordered::new();
    lives.extend(
        watcher
            .read_plan()?
            .into_iter()
            .map(|slot| watcher.keep(slot)),
    );
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = hangup.recv() => {
                match watcher.read_plan() {
                    Ok(slots) => lives.extend(slots.into_iter().map(|slot| watcher.keep(slot))),
                    Err(error) => output::note(format!("{error:#}")),
                }
                watcher.hurry.notify_waiters();
            }
            Some(()) = lives.next() => {}
        }
    }
    drop(lives);
    let deployment = watcher.deployment.into_inner();
    stop(&deployment).await;
    Deployment::forget(dir)
}

/// Ends all services at once, each after it has answered what it was asked.
pub(super) async fn stop(deployment: &Deployment) {
    let living: Vec<Running> = deployment
        .services
        .iter()
        .filter_map(Watched::running)
        .collect();
    for stopped in join_all(living.iter().map(Running::stop)).await {
        if let Err(error) = stopped {
            output::note(format!("{error:#}"));
        }
    }
}

/// Ends services of this folder that are noted nowhere: their watcher was killed in between.
pub(super) async fn end_strays(dir: &Path, known: Option<&Deployment>) {
    let noted = |stray: &Identity| {
        let mut services = known.iter().flat_map(|known| &known.services);
        services.any(|watched| watched.identity == Some(*stray))
    };
    let mut strays = process::marked(dir);
    strays.retain(|stray| !noted(stray));
    process::signal_all(&strays, Signal::SIGKILL);
    process::wait_gone(&strays, Duration::from_secs(10)).await;
}

pub(super) fn logs(dir: &Path) -> PathBuf {
    dir.join("logs")
}

/// What the watcher itself has to say.
pub(super) fn log_of(dir: &Path) -> PathBuf {
    logs(dir).join("watcher.log")
}

struct Watcher {
    dir: PathBuf,
    plan: RefCell<Plan>,
    deployment: RefCell<Deployment>,
    /// Told when pauses shall end.
    hurry: Notify,
}

impl Watcher {
    /// Of a plan without services; `read_plan` answers the first ones.
    fn new(dir: &Path) -> Result<Self> {
        let plan = load_plan(dir)?;
        let known = Deployment::load(dir)?;
        let mut deployment = known.unwrap_or_else(|| Deployment::new(plan.surroundings.clone()));
        deployment.watcher = Identity::of(std::process::id());
        let services = Vec::new();
        Ok(Self {
            dir: dir.to_owned(),
            plan: RefCell::new(Plan { services, ..plan }),
            deployment: RefCell::new(deployment),
            hurry: Notify::new(),
        })
    }

    /// Reads what shall run; answers the slots that are new in it.
    fn read_plan(&self) -> Result<Vec<Slot>> {
        let mut slots = load_plan(&self.dir)?;
        let plan = self.plan.replace(slots.clone());
        slots.services.retain(|slot| !plan.services.contains(slot));
        let mut deployment = self.deployment.borrow_mut();
        deployment.surroundings = slots.surroundings;
        for slot in &slots.services {
            if deployment.watched(slot.service, slot.replica).is_none() {
                deployment.services.push(Watched::new(*slot));
            }
        }
        deployment
            .services
            .sort_by_key(|of| (of.service, of.replica));
        deployment.save(&self.dir)?;
        Ok(slots.services)
    }

    /// One service, for as long as the watcher lives.
    async fn keep(&self, slot: Slot) {
        if let Some(process) = self.identity(slot) {
            while process.is_alive() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.record_end(slot, UNSEEN.to_owned());
        }
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let end = self.live(slot).await;
            self.record_end(slot, end);
            let pause = tokio::time::sleep(backoff.pause_after(began.elapsed()));
            tokio::select! {
                () = pause => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    /// Starts a service and waits until it ends; answers why it did.
    async fn live(&self, slot: Slot) -> String {
        let ended = match self.start(slot) {
            Ok(mut child) => child.wait().await.context("waiting for the end"),
            Err(error) => Err(error),
        };
        ended.map_or_else(|error| format!("{error:#}"), restart::in_words)
    }

    /// What was started is noted before anything can interrupt it.
    fn start(&self, slot: Slot) -> Result<Child> {
        let surroundings = self.plan.borrow().surroundings.clone();
        let (child, identity) = self.launch(slot).spawn(&surroundings)?;
        self.note(slot, |watched| watched.identity = Some(identity));
        Ok(child)
    }

    fn record_end(&self, slot: Slot, reason: String) {
        let name = format!("{}-{}", slot.service.name(), slot.replica);
        output::note(format!("{name} has ended: {reason}"));
        let end = End {
            at: clock::now(),
            reason,
            log: self.launch(slot).last_lines(),
        };
        self.note(slot, |watched| watched.restarts.record(end));
    }

    fn identity(&self, slot: Slot) -> Option<Identity> {
        let deployment = self.deployment.borrow();
        deployment.watched(slot.service, slot.replica)?.identity
    }

    /// A disk that is full for a while is no reason to let services alone.
    fn note(&self, slot: Slot, change: impl FnOnce(&mut Watched)) {
        let mut deployment = self.deployment.borrow_mut();
        let of = |watched: &&mut Watched| {
            (watched.service, watched.replica) == (slot.service, slot.replica)
        };
        if let Some(watched) = deployment.services.iter_mut().find(of) {
            change(watched);
        }
        if let Err(error) = deployment.save(&self.dir) {
            output::note(format!("{error:#}"));
        }
    }

    fn launch(&self, slot: Slot) -> Launch {
        let plan = self.plan.borrow();
        let folder = self.dir.display().to_string();
        Launch {
            service: slot.service,
            port: slot.port,
            program: plan.programs.join(slot.service.name()),
            logs: logs(&self.dir),
            replica: slot.replica,
            variables: vec![(process::MARKER.to_owned(), folder)],
            attached: plan.attached,
        }
    }
}

fn load_plan(dir: &Path) -> Result<Plan> {
    Plan::load(dir)?.context("there is no plan of what to run")
}
