//! What reaches a supervisor from outside: signals, and its owner's lines on stdin.

use std::io::BufRead;

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::{control::Request, spec::Lifetime};

/// One wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Ask(Request),
    /// `up` waits for the servers: end the pauses before their restarts.
    Hurry,
    /// The owner has gone, or somebody has sent a signal.
    End,
}

/// All the sources in one.
pub(super) struct Wishes {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    lines: Option<mpsc::Receiver<Request>>,
}

impl Wishes {
    pub(super) fn listen(lifetime: Lifetime) -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listening for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("listening for SIGHUP")?,
            lines: (lifetime == Lifetime::Owner).then(read_lines),
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        let line = async {
            match &mut self.lines {
                Some(lines) => lines.recv().await.map_or(Wish::End, Wish::Ask),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.hangup.recv() => Wish::Hurry,
            wish = line => wish,
        }
    }

    /// Until the end is wished for; anything else is too early to be obeyed.
    pub(super) async fn end(&mut self) {
        while self.next().await != Wish::End {}
    }
}

/// A thread of its own: a read cannot be given up, and must not keep the process from ending.
/// The channel closes at the end of the input, which is the end of the owner.
fn read_lines() -> mpsc::Receiver<Request> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let Ok(request) = serde_json::from_str(&line) else {
                return;
            };
            if sender.blocking_send(request).is_err() {
                return;
            }
        }
    });
    receiver
}
