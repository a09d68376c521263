//! Servers that end by themselves are started again, after a growing pause.

use std::{
    convert::Infallible,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;
use futures::future::join_all;
use nix::sys::signal::Signal;

use super::{Lifetime, PROTOCOL, Phase, State, Supervisor};
use crate::{
    output, process,
    restart::{Backoff, End},
    server::Server,
};

/// Between two looks at a server that shall run.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LEFTOVERS_END_WITHIN: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Goes on counting where a supervisor of the same stack was killed: its servers ended with it.
    pub(super) fn inherit(&self, before: Option<State>) {
        let Some(before) = before.filter(|state| {
            self.spec.lifetime == Lifetime::UntilTerminated && state.protocol == PROTOCOL
        }) else {
            return;
        };
        self.restarts.replace(before.restarts);
        for server in before.servers.into_keys() {
            self.count_end(server, "its supervisor was gone".to_owned());
        }
    }

    /// Restarts servers, in the one kind of stack whose servers are to run until it is terminated.
    pub(super) async fn keep_all(&self) {
        if self.spec.lifetime != Lifetime::UntilTerminated {
            return std::future::pending().await;
        }
        join_all(Server::ALL.map(|server| self.keep(server))).await;
    }

    async fn keep(&self, server: Server) -> Infallible {
        let mut backoff = Backoff::default();
        let mut began = Instant::now();
        loop {
            let mut end = self.end_of(server).await;
            while let Some(reason) = end {
                self.record_end(server, reason);
                let pause = tokio::time::sleep(backoff.pause_after(began.elapsed()));
                tokio::select! {
                    () = pause => {}
                    () = self.hurry.notified() => {}
                }
                began = Instant::now();
                end = self
                    .start_again(server)
                    .await
                    .err()
                    .map(|error| format!("{error:#}"));
            }
        }
    }

    /// Looks whether a server has ended; answers how.
    async fn end_of(&self, server: Server) -> Option<String> {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut running = self.running[&server].lock().await;
        let end = running.as_mut()?.ended()?;
        *running = None;
        Some(end)
    }

    /// What is left of it would keep its port and its data.
    async fn start_again(&self, server: Server) -> Result<()> {
        let left = process::leftovers_of(self.folder.path(), server.name());
        process::signal_all(&left, Signal::SIGKILL);
        process::wait_gone(&left, LEFTOVERS_END_WITHIN).await;
        self.start(server).await?;
        self.tell_if_possible();
        Ok(())
    }

    fn record_end(&self, server: Server, reason: String) {
        output::note(format!("{server} has ended: {reason}"));
        // A failed start tells the log as well.
        let reason = reason.lines().next().unwrap_or_default().to_owned();
        self.count_end(server, reason);
        self.tell_if_possible();
    }

    fn count_end(&self, server: Server, reason: String) {
        let (at, log) = (SystemTime::now().into(), self.site.last_lines(server));
        let mut restarts = self.restarts.borrow_mut();
        let own = restarts.entry(server).or_default();
        own.record(End { at, reason, log });
    }

    /// A disk that is full for a while is no reason to let servers alone.
    fn tell_if_possible(&self) {
        if let Err(error) = self.tell(Phase::Ready) {
            output::note(format!("{error:#}"));
        }
    }
}
