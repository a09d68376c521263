//! The refreshes of one build: at most one in flight, while the next batch is folded and written.
//!
//! A refresh covers what was acknowledged before it was sent, and says so on the board as soon as
//! it has ended. Rarely while far behind or being filled; at once when somebody could be waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chassis::retry::Backoff;
use schemas::lane::Lane;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::board::{Board, Covered};
use crate::config::{FAR_BEHIND_REFRESH_INTERVAL, FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE};
use crate::sink::{Sink, SinkError, Target};
use crate::{crash, metrics};

/// What each lane has once a refresh has ended.
type Cover = Arc<BTreeMap<Lane, Covered>>;

#[derive(Debug)]
pub(super) struct Refreshes {
    target: Target,
    sink: Sink,
    board: Board,
    /// Something may have been acknowledged that no refresh of ours follows.
    is_due: bool,
    /// A search may not find all that was written.
    hides_writes: bool,
    sent_at: Option<Instant>,
    running: Option<Running>,
    ended: Option<Ended>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    cover: Cover,
    task: AbortOnDropHandle<Result<(), SinkError>>,
}

/// A refresh that has ended, and what it was to show.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) cover: Cover,
    pub(super) outcome: Result<(), SinkError>,
}

impl Refreshes {
    pub(super) fn new(target: Target, sink: Sink, board: Board) -> Self {
        Self {
            target,
            sink,
            board,
            is_due: true,
            hides_writes: true,
            sent_at: None,
            running: None,
            ended: None,
            backoff: Backoff::new(FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE),
            not_before: None,
        }
    }

    /// Something was, or may have been, written that the next refresh has to show.
    pub(super) fn request(&mut self) {
        self.is_due = true;
        self.hides_writes = true;
    }

    /// True unless a refresh that has ended came after all writes. One in flight shows nothing yet.
    pub(super) fn may_hide_writes(&self) -> bool {
        self.is_due || self.running.is_some() || self.ended.is_some()
    }

    /// True while one is in flight.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// True where a refresh may be sent now.
    pub(super) fn is_due(&self, is_paced: bool) -> bool {
        let now = clock::instant();
        let is_rested = self
            .sent_at
            .is_none_or(|at| now - at >= FAR_BEHIND_REFRESH_INTERVAL);
        let may_retry = self.not_before.is_none_or(|at| now >= at);
        let is_free = self.running.is_none() && self.ended.is_none();
        self.is_due && is_free && may_retry && (is_rested || !is_paced)
    }

    /// True where no refresh was sent within the last `pace`.
    pub(super) fn has_rested(&self, pace: Duration) -> bool {
        self.sent_at.is_none_or(|at| at.elapsed() >= pace)
    }

    /// Sends a refresh that shows what was acknowledged by now.
    pub(super) fn send(&mut self, cover: BTreeMap<Lane, Covered>) {
        self.is_due = false;
        self.hides_writes = false;
        self.sent_at = Some(clock::instant());
        let cover = Arc::new(cover);
        let (sink, board, target) = (self.sink.clone(), self.board.clone(), self.target.clone());
        let shown = Arc::clone(&cover);
        let task = tokio::spawn(async move {
            let started = clock::instant();
            sink.refresh(&[&target.index]).await?;
            metrics::refreshed(started.elapsed());
            crash::WRITE.reach("after-refresh");
            board.show(target.build, &shown);
            Ok(())
        });
        let task = AbortOnDropHandle::new(task);
        self.running = Some(Running { cover, task });
    }

    /// Waits for the refresh in flight; forever pending where there is none. May be dropped and
    /// called again.
    pub(super) async fn wait(&mut self) {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let outcome = (&mut running.task).await;
        let outcome = outcome.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(SinkError::BudgetEnded(None)),
        });
        if outcome.is_ok() {
            self.backoff.reset();
            self.not_before = None;
        } else {
            self.request();
            self.not_before = Some(clock::instant() + self.backoff.next_delay());
        }
        if let Some(Running { cover, .. }) = self.running.take() {
            self.ended = Some(Ended { cover, outcome });
        }
    }

    /// What has ended since this was asked last.
    pub(super) async fn take_ended(&mut self) -> Option<Ended> {
        let has_ended = |running: &Running| running.task.is_finished();
        if self.running.as_ref().is_some_and(has_ended) {
            self.wait().await;
        }
        self.ended.take()
    }

    /// Makes visible whatever was written, and returns once it is: for what searches before it goes
    /// on.
    /// The next one that is sent covers the lanes.
    pub(super) async fn drain(&mut self) -> Result<(), SinkError> {
        if self.running.is_some() {
            self.wait().await;
        }
        if self.hides_writes {
            self.sink.refresh(&[&self.target.index]).await?;
            self.hides_writes = false;
        }
        Ok(())
    }
}
