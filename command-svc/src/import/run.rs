//! An import from its first line to its totals: read, batch, two transactions in flight, answer.
//!
//! Bounded everywhere: lines wait for batches, batches for each other, answers for the client, and
//! while too much waits, no more of the body is read. A client that does not read answers while it
//! sends gets an error once too many of them wait. When a client leaves, batches that have not
//! begun are dropped.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use chassis::clock;
use chassis::telemetry::Chain;
use chassis::tidemark::Tides;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use schemas::event::Meta;
use schemas::id::ProductId;
use schemas::problem::{Problem, ProblemType};
use schemas::rest::import::{ImportCutShort, ImportTotals, LineAnswer, LineStatus};
use schemas::tidemark::Tidemark;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::batch::{Batch, Footprint, KnownPaths, Queue, ReadLine};
use super::body::{Body, Coding, Step};
use super::imported::Imported;
use super::outbox::Outbox;
use super::pace::{self, Pace};
use super::transaction::import;
use super::{Imports, metrics};
use crate::config::{
    BATCH_TIMEOUT, BATCH_TIMEOUT_WHILE_AWAY, BATCHES_IN_FLIGHT, CLIENT_IDLE_TIMEOUT, GATHER_TIME,
    MAX_KEPT_ANSWER_BYTES, STALL_TIMEOUT, STOP_NOTICE_TIMEOUT,
};

/// Why an answer ends without totals. Batches that were running are committed or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error("the client left")]
    ClientLeft,
    #[error("the body could not be read to its end")]
    Body,
    #[error("no part of the body arrived for {CLIENT_IDLE_TIMEOUT:?}")]
    Silent,
    #[error("the service is stopping")]
    Shutdown,
    #[error("a batch failed unexpectedly")]
    Failed,
    #[error("the tidemark of the totals could not be read")]
    Totals,
}

/// A piece of the body, or that it was cut off.
pub type Piece = Result<Bytes, Stopped>;

/// Both ends of the client's connection.
#[derive(Debug)]
pub struct Client {
    pub pieces: Receiver<Piece>,
    pub coding: Coding,
    pub answers: Sender<Result<Bytes, Stopped>>,
    /// What the request presented; the totals' tidemark includes it.
    pub tidemark: Tidemark,
    pub tides: Tides,
    pub meta: Meta,
}

#[derive(Debug)]
pub struct Run {
    imports: Imports,
    client: Client,
    body: Body,
    queue: Queue,
    /// Waits for a running one that it may depend on.
    held: Option<Batch>,
    /// When the oldest waiting line has waited for long enough.
    ripe_at: Option<Instant>,
    in_flight: FuturesOrdered<JoinHandle<Imported>>,
    footprints: VecDeque<Footprint>,
    known: KnownPaths,
    pace: Pace,
    budget: Duration,
    outbox: Outbox,
    totals: ImportTotals,
    /// The last answer is in the outbox.
    is_answered: bool,
}

impl Run {
    pub fn new(imports: Imports, client: Client) -> Self {
        Self {
            imports,
            body: Body::new(client.coding),
            client,
            queue: Queue::default(),
            held: None,
            ripe_at: None,
            in_flight: FuturesOrdered::new(),
            footprints: VecDeque::new(),
            known: KnownPaths::default(),
            pace: Pace::default(),
            budget: BATCH_TIMEOUT,
            totals: ImportTotals {
                lines: 0,
                created: 0,
                updated: 0,
                unchanged: 0,
                refused: 0,
                tidemark: String::new(),
            },
            outbox: Outbox::new(clock::instant()),
            is_answered: false,
        }
    }

    pub async fn run(mut self) {
        let running = metrics::Running::start();
        if let Err(stopped) = self.import_all().await {
            tracing::info!(import.lines = self.totals.lines, reason = %stopped, "import stopped");
            // An answer that just ended would look complete. The client may have left.
            let telling = self.client.answers.send(Err(stopped));
            let _ = timeout(STOP_NOTICE_TIMEOUT, telling).await;
        }
        drop(running);
    }

    async fn import_all(&mut self) -> Result<(), Stopped> {
        let (stop, answers) = (self.imports.stop.clone(), self.client.answers.clone());
        loop {
            self.start_batches();
            if self.is_through() && !self.is_answered {
                self.answer_end().await?;
            }
            if self.is_answered && self.outbox.is_empty() {
                return Ok(());
            }
            let wants_more = self.wants_more();
            let starves = self.body.is_starved();
            let may_start = self.in_flight.len() < BATCHES_IN_FLIGHT;
            let ripe_at = self
                .ripe_at
                .filter(|at| may_start && *at > clock::instant());
            let stalled_at = self.stalled_at();
            tokio::select! {
                piece = timeout(CLIENT_IDLE_TIMEOUT, self.client.pieces.recv()), if wants_more && starves => {
                    match piece.map_err(|_| Stopped::Silent)?.transpose()? {
                        Some(piece) => self.body.push(piece),
                        None => self.body.end(),
                    }
                }
                () = yield_now(), if wants_more && !starves => self.read()?,
                Some(imported) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.answer(imported.map_err(|_| Stopped::Failed)?);
                }
                permit = answers.reserve(), if !self.outbox.is_empty() => {
                    let permit = permit.map_err(|_| Stopped::ClientLeft)?;
                    permit.send(Ok(self.outbox.take(clock::instant())));
                }
                () = until(ripe_at), if ripe_at.is_some() => {}
                () = until(stalled_at), if stalled_at.is_some() => self.stall()?,
                () = stop.cancelled() => return Err(Stopped::Shutdown),
                () = answers.closed() => return Err(Stopped::ClientLeft),
            }
        }
    }

    /// True where nothing is left to be imported.
    fn is_through(&self) -> bool {
        let waits = !self.queue.is_empty() || self.held.is_some();
        self.body.is_through() && !waits && self.in_flight.is_empty()
    }

    fn wants_more(&self) -> bool {
        let has_room = self.queue.has_room() && !self.outbox.is_full();
        !self.body.is_through() && (has_room || self.body.is_discarded())
    }

    /// When the client, which takes nothing, has been waited for long enough.
    fn stalled_at(&self) -> Option<Instant> {
        let moved_at = self.outbox.moved_at();
        if self.outbox.is_empty() || self.body.is_discarded() && !self.is_answered {
            None
        } else if self.is_answered || self.outbox.is_full() && self.body.is_through() {
            Some(moved_at + CLIENT_IDLE_TIMEOUT)
        } else {
            self.outbox.is_full().then(|| moved_at + STALL_TIMEOUT)
        }
    }

    /// A client that may still be sending may send to the end; then it gets the outcome.
    fn stall(&mut self) -> Result<(), Stopped> {
        if self.is_answered || self.body.is_through() {
            return Err(Stopped::ClientLeft);
        }
        self.body.discard();
        self.queue.clear();
        self.held = None;
        self.ripe_at = None;
        Ok(())
    }

    /// Up to the end of a slice of the body, or until no more lines are to wait.
    fn read(&mut self) -> Result<(), Stopped> {
        while self.queue.has_room() {
            let step = self.body.step().map_err(|error| {
                tracing::debug!(error = %error, "failed to decompress the body of an import");
                Stopped::Body
            })?;
            let Step::Line(line) = step else {
                return Ok(());
            };
            self.queue.push(ReadLine::new(&line));
            self.ripe_at
                .get_or_insert_with(|| clock::instant() + GATHER_TIME);
        }
        Ok(())
    }

    fn start_batches(&mut self) {
        while self.in_flight.len() < BATCHES_IN_FLIGHT
            && !self.outbox.is_full()
            && self.is_ripe()
            && self.start_batch()
        {}
    }

    fn is_ripe(&self) -> bool {
        let waited = self.ripe_at.is_some_and(|at| at <= clock::instant());
        let full = self.queue.is_ripe(self.pace.size());
        let next = !self.queue.is_empty() && (full || waited || self.body.is_through());
        next || self.held.is_some()
    }

    /// False where the next batch has to wait for a running one.
    fn start_batch(&mut self) -> bool {
        let new_id = || ProductId(clock::new_id());
        let batch = match self.held.take() {
            Some(batch) => batch,
            None => self.queue.take(self.pace.size(), new_id),
        };
        let footprint = batch.footprint(&self.known);
        if self
            .footprints
            .iter()
            .any(|other| other.touches(&footprint))
        {
            self.held = Some(batch);
            return false;
        }
        self.footprints.push_back(footprint);
        self.ripe_at = (!self.queue.is_empty()).then(|| clock::instant() + GATHER_TIME);
        let (imports, meta, budget) = (self.imports.clone(), self.client.meta.clone(), self.budget);
        let importing = async move {
            let imported = import(&imports, &meta, batch, budget).await;
            if let Some((_, held)) = imported.pace {
                sleep(pace::rest(held)).await;
            }
            imported
        };
        self.in_flight.push_back(tokio::spawn(importing));
        true
    }

    fn answer(&mut self, imported: Imported) {
        if let Some(footprint) = self.footprints.pop_front() {
            self.known.learn(footprint);
        }
        if let Some((written, held)) = imported.pace {
            self.pace.learn(written, held);
        }
        self.budget = if imported.unavailable {
            BATCH_TIMEOUT_WHILE_AWAY
        } else {
            BATCH_TIMEOUT
        };
        for position in &imported.positions {
            self.client.tidemark.raise(*position);
        }
        let mut text = Vec::new();
        for answered in imported.answers {
            self.count(answered.status);
            let id = answered.id.map(|id| id.0);
            let (line, status, problem) = (answered.number, answered.status, answered.problem);
            write_line(
                &mut text,
                &LineAnswer {
                    line,
                    status,
                    id,
                    problem,
                },
            );
        }
        self.outbox.push(&text, clock::instant());
    }

    fn count(&mut self, status: LineStatus) {
        metrics::answered(status);
        self.totals.lines += 1;
        *match status {
            LineStatus::Created => &mut self.totals.created,
            LineStatus::Updated => &mut self.totals.updated,
            LineStatus::Unchanged => &mut self.totals.unchanged,
            LineStatus::Refused => &mut self.totals.refused,
        } += 1;
    }

    /// The last answer: totals, or why there are none.
    async fn answer_end(&mut self) -> Result<(), Stopped> {
        let mut text = Vec::new();
        if self.body.is_discarded() {
            write_line(&mut text, &cut_short(self.totals.lines));
        } else {
            write_line(&mut text, &self.totals().await?);
        }
        self.outbox.push(&text, clock::instant());
        self.is_answered = true;
        Ok(())
    }

    async fn totals(&mut self) -> Result<ImportTotals, Stopped> {
        let heads = self.imports.heads().await.map_err(|error| {
            tracing::warn!(error = %Chain(&error), "failed to read the lane heads");
            Stopped::Totals
        })?;
        for head in heads {
            self.client.tidemark.raise(head);
        }
        let tidemark = self.client.tides.sign(&self.client.tidemark);
        Ok(ImportTotals {
            tidemark,
            ..self.totals.clone()
        })
    }
}

/// For a client that did not read.
fn cut_short(lines: u64) -> ImportCutShort {
    let detail = format!(
        "no answer was read for {STALL_TIMEOUT:?} while {} MiB of them waited: what comes after the \
         lines answered here was not imported. Read answers while sending, and send the file \
         again: what is there is unchanged",
        MAX_KEPT_ANSWER_BYTES / 1024 / 1024
    );
    ImportCutShort {
        lines,
        problem: Problem::new(ProblemType::AnswersNotRead, detail),
    }
}

fn write_line(text: &mut Vec<u8>, line: &impl serde::Serialize) {
    serde_json::to_writer(&mut *text, line).expect("answers are plain data");
    text.push(b'\n');
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
