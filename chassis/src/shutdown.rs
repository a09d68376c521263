//! Ending well: a signal cancels a token, tasks see it, and a drain waits for them with a limit.
//!
//! `Shutdown::spawn` is the licensed way to start a long-lived task. When one ends before it was
//! asked to, or panics, the process stops too: half a service that looks alive is worse.

use std::error::Error;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::Chain;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    failed: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Starts when SIGTERM or SIGINT arrives. Needs a runtime with signals enabled.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = shutdown.token.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(process.signal = name, "stopping");
            token.cancel();
        });
        Ok(shutdown)
    }

    /// Cancelled once the process has to stop.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    pub fn start(&self) {
        self.token.cancel();
    }

    pub fn has_started(&self) -> bool {
        self.token.is_cancelled()
    }

    /// True once a task ended that should not have; the exit status should say so.
    pub fn has_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    /// Runs a task that lives as long as the process, on the current runtime.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let running = self.tasks.spawn(task);
        let shutdown = self.clone();
        self.tasks
            .spawn(async move { shutdown.watch(name, running).await });
    }

    /// Runs start-up work, which ends. When it fails, the process stops.
    pub fn spawn_once<E>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let running = self.tasks.spawn(task);
        let shutdown = self.clone();
        self.tasks.spawn(async move {
            let error = match running.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.into(),
                Err(panic) => panic.into(),
            };
            tracing::error!(
                task.name = name,
                error = %Chain(error.as_ref()),
                "a task failed: stopping"
            );
            shutdown.fail();
        });
    }

    fn fail(&self) {
        self.failed.cancel();
        self.start();
    }

    async fn watch(&self, name: &'static str, running: JoinHandle<()>) {
        let ended = running.await;
        if let Err(error) = &ended {
            tracing::error!(task.name = name, error = %error, "a task panicked: stopping");
        } else if !self.has_started() {
            tracing::error!(task.name = name, "a task ended too early: stopping");
        }
        if ended.is_err() || !self.has_started() {
            self.fail();
        }
    }

    /// Waits for the spawned tasks, at most so long. False when some were still running.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.start();
        self.tasks.close();
        let drained = tokio::time::timeout(limit, self.tasks.wait()).await.is_ok();
        if !drained {
            tracing::warn!(
                task.count = self.tasks.len(),
                "tasks were still running at the end"
            );
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_tasks_that_saw_the_token() {
        let shutdown = Shutdown::default();
        let token = shutdown.token();
        shutdown.spawn("well-behaved", async move { token.cancelled().await });
        assert!(shutdown.drain(Duration::from_secs(5)).await);
        assert!(!shutdown.has_failed());
    }

    #[tokio::test]
    async fn a_task_that_panics_stops_the_process() {
        let shutdown = Shutdown::default();
        shutdown.spawn("faulty", async { panic!("on purpose") });
        shutdown.token().cancelled().await;
        assert!(shutdown.has_failed());
    }

    #[tokio::test]
    async fn start_up_work_may_end_but_not_fail() {
        let shutdown = Shutdown::default();
        shutdown.spawn_once("good", async { Ok::<(), std::fmt::Error>(()) });
        assert!(shutdown.drain(Duration::from_secs(5)).await);
        assert!(!shutdown.has_failed());

        let shutdown = Shutdown::default();
        shutdown.spawn_once("bad", async { Err(std::fmt::Error) });
        shutdown.token().cancelled().await;
        assert!(shutdown.has_failed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_at_its_limit() {
        let shutdown = Shutdown::default();
        shutdown.spawn("deaf", std::future::pending());
        assert!(!shutdown.drain(Duration::from_secs(1)).await);
    }
}
