//! Starting a supervisor and waiting for its servers, from whatever program needs them.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::spec::{Folder, Lifetime, Phase, Spec, State};
use crate::{output::Step, program::SERVERS, server::Server};

pub(super) const START_LIMIT: Duration = Duration::from_secs(240);

/// Starts a supervisor that outlives this process unless it is told to watch stdin, or attached.
pub(super) async fn spawn(spec: &Spec, attached: bool) -> Result<Child> {
    let mut command = SERVERS.command(attached).await?;
    let folder = Folder::new(&spec.dir);
    fs::create_dir_all(folder.logs())?;
    let log = supervisor_log(&folder);
    let log = File::create(&log).with_context(|| format!("opening {}", log.display()))?;
    command
        .arg("supervise")
        .arg(serde_json::to_string(spec)?)
        .stderr(log.try_clone()?);
    match spec.lifetime {
        Lifetime::Owner => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
        Lifetime::Leases | Lifetime::UntilTerminated => command.stdin(Stdio::null()).stdout(log),
    };
    command
        .current_dir("/")
        .spawn()
        .context("starting the supervisor")
}

/// Waits until the servers are ready; `child` is the supervisor, where this process started it.
pub(super) async fn await_ready(folder: &Folder, mut child: Option<&mut Child>) -> Result<State> {
    let step = Step::begin("starting PostgreSQL, Kafka and Elasticsearch");
    let deadline = Instant::now() + START_LIMIT;
    let supervisor = child.as_ref().map(|child| child.id().cast_signed());
    loop {
        match state_of(folder, supervisor) {
            Some(State {
                phase: Phase::Failed(message),
                ..
            }) => bail!("{message}"),
            Some(state) if state.is_up() => {
                step.done();
                return Ok(state);
            }
            Some(state) => step.detail(&waiting_for(&state)),
            None => {}
        }
        let ended = match child.as_mut() {
            Some(child) => child.try_wait()?.is_some(),
            None => !folder.is_supervised()?,
        };
        // Read again: it may have failed in between and said why.
        if ended
            && !matches!(
                state_of(folder, supervisor),
                Some(State {
                    phase: Phase::Failed(_),
                    ..
                })
            )
        {
            let log = fs::read_to_string(supervisor_log(folder)).unwrap_or_default();
            bail!("{}", log.trim().trim_start_matches("tidemark: "));
        }
        ensure!(
            Instant::now() < deadline,
            "the servers did not become ready in time{}",
            state_of(folder, supervisor)
                .as_ref()
                .map(last_ends)
                .unwrap_or_default()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What this supervisor tells, not one that was killed before it; that of any where none is named.
fn state_of(folder: &Folder, supervisor: Option<i32>) -> Option<State> {
    let state = folder.state()?;
    let is_told_by = |pid| state.supervisor.pid == pid;
    supervisor.is_none_or(is_told_by).then_some(state)
}

/// Waits for a lock without blocking the runtime.
pub(super) async fn locked(file: File, shared: bool) -> Result<File> {
    let lock = move || {
        if shared {
            file.lock_shared()
        } else {
            file.lock()
        }
        .map(|()| file)
    };
    tokio::task::spawn_blocking(lock)
        .await?
        .context("waiting for a lock")
}

fn last_ends(state: &State) -> String {
    let missing = Server::ALL
        .into_iter()
        .filter(|server| !state.lives(*server));
    let ends = missing.filter_map(|server| {
        let end = state.restarts.get(&server)?.last_end.as_ref()?;
        Some(format!("; {server} ended last with {}", end.reason))
    });
    ends.collect()
}

fn waiting_for(state: &State) -> String {
    let missing = Server::ALL
        .into_iter()
        .filter(|server| !state.lives(*server));
    format!(
        "waiting for {}",
        missing.map(Server::name).collect::<Vec<_>>().join(", ")
    )
}

fn supervisor_log(folder: &Folder) -> PathBuf {
    folder.logs().join("supervisor.log")
}
