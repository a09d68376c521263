//! An import from its first line to its totals: read, batch, two transactions in flight, answer.
//!
//! Bounded everywhere: lines wait for batches, batches for each other, answers for the client, and
//! while anything waits, no more of the body is read. A client that leaves stops what is not yet
//! under way.

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
use schemas::rest::import::{ImportTotals, LineAnswer, LineStatus};
use schemas::tidemark::Tidemark;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::batch::{Batch, Footprint, KnownPaths, Queue, ReadLine};
use super::lines::{Line, Lines};
use super::pace::{self, Pace};
use super::transact::import;
use super::transaction::Imported;
use super::{Imports, metrics, wish};

/// Lines that wait for a batch, in bytes.
const QUEUE_BYTES: usize = 2 * 1024 * 1024;
/// Transactions of one import.
const IN_FLIGHT: usize = 2;
/// Lines wait no longer for others to come.
const GATHER: Duration = Duration::from_millis(20);
/// A client that neither sends nor takes anything for so long has left.
const CLIENT_IDLE: Duration = Duration::from_secs(60);
/// Telling a client that its import stopped.
const TELL: Duration = Duration::from_secs(1);
/// All tries of a batch.
const BUDGET: Duration = Duration::from_secs(10);
/// The same, while the database is away.
const SHORT_BUDGET: Duration = Duration::from_secs(1);

/// Why an answer ends without totals. Batches that were under way are through or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error("the client left")]
    ClientLeft,
    #[error("the body could not be read to its end")]
    Body,
    #[error("nothing of the body came for {CLIENT_IDLE:?}")]
    Silent,
    #[error("the service stops")]
    Shutdown,
    #[error("a batch failed unexpectedly")]
    Failed,
    #[error("the tidemark of the totals could not be read")]
    Totals,
}

/// A piece of the body, or a sign that it broke off.
pub type Piece = Result<Bytes, Stopped>;

/// Both ends of the client's connection.
#[derive(Debug)]
pub struct Client {
    pub body: Receiver<Piece>,
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
    lines: Lines,
    queue: Queue,
    /// Waits for one under way, which could decide something of it.
    held: Option<Batch>,
    /// When the oldest waiting line has waited for long enough.
    ripe_at: Option<Instant>,
    body_ended: bool,
    in_flight: FuturesOrdered<JoinHandle<Imported>>,
    footprints: VecDeque<Footprint>,
    known: KnownPaths,
    pace: Pace,
    budget: Duration,
    totals: ImportTotals,
}

impl Run {
    pub fn new(imports: Imports, client: Client) -> Self {
        Self {
            imports,
            client,
            lines: Lines::default(),
            queue: Queue::default(),
            held: None,
            ripe_at: None,
            body_ended: false,
            in_flight: FuturesOrdered::new(),
            footprints: VecDeque::new(),
            known: KnownPaths::default(),
            pace: Pace::default(),
            budget: BUDGET,
            totals: ImportTotals {
                lines: 0,
                created: 0,
                updated: 0,
                unchanged: 0,
                refused: 0,
                tidemark: String::new(),
            },
        }
    }

    pub async fn run(mut self) {
        let running = metrics::Running::start();
        if let Err(stopped) = self.import_all().await {
            tracing::info!(import.lines = self.totals.lines, reason = %stopped, "import stopped");
            // An answer that just ended would look whole. The client may have gone.
            let telling = self.client.answers.send(Err(stopped));
            let _ = timeout(TELL, telling).await;
        }
        drop(running);
    }

    async fn import_all(&mut self) -> Result<(), Stopped> {
        let stop = self.imports.stop.clone();
        loop {
            self.start_batches();
            let is_through = self.body_ended && self.queue.is_empty() && self.held.is_none();
            if is_through && self.in_flight.is_empty() {
                return self.answer_totals().await;
            }
            let wants_more = !self.body_ended && self.queue.bytes() < QUEUE_BYTES;
            let may_start = self.in_flight.len() < IN_FLIGHT;
            let ripe_at = self
                .ripe_at
                .filter(|at| may_start && *at > clock::instant());
            tokio::select! {
                piece = timeout(CLIENT_IDLE, self.client.body.recv()), if wants_more => {
                    self.read(piece.map_err(|_| Stopped::Silent)?.transpose()?);
                }
                Some(imported) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.answer(imported.map_err(|_| Stopped::Failed)?).await?;
                }
                () = until(ripe_at), if ripe_at.is_some() => {}
                () = stop.cancelled() => return Err(Stopped::Shutdown),
                () = self.client.answers.closed() => return Err(Stopped::ClientLeft),
            }
        }
    }

    fn read(&mut self, piece: Option<Bytes>) {
        match piece {
            Some(piece) => {
                self.lines.push(&piece);
                while let Some(line) = self.lines.next_line() {
                    self.enqueue(&line);
                }
            }
            None => {
                self.body_ended = true;
                if let Some(line) = self.lines.last_line() {
                    self.enqueue(&line);
                }
            }
        }
    }

    fn enqueue(&mut self, line: &Line) {
        let bytes = line.content.as_ref().map_or(0, Bytes::len);
        let wish = wish::read(line).map(Box::new);
        self.queue.push(ReadLine {
            number: line.number,
            bytes,
            wish,
        });
        self.ripe_at
            .get_or_insert_with(|| clock::instant() + GATHER);
    }

    fn start_batches(&mut self) {
        while self.in_flight.len() < IN_FLIGHT && self.is_ripe() && self.start_batch() {}
    }

    fn is_ripe(&self) -> bool {
        let waited = self.ripe_at.is_some_and(|at| at <= clock::instant());
        let full = self.queue.is_ripe(self.pace.size());
        let next = !self.queue.is_empty() && (full || waited || self.body_ended);
        next || self.held.is_some()
    }

    /// False where the next batch has to wait for one that is under way.
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
        self.ripe_at = (!self.queue.is_empty()).then(|| clock::instant() + GATHER);
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

    async fn answer(&mut self, imported: Imported) -> Result<(), Stopped> {
        if let Some(footprint) = self.footprints.pop_front() {
            self.known.learn(footprint);
        }
        if let Some((written, held)) = imported.pace {
            self.pace.learn(written, held);
        }
        self.budget = if imported.unavailable {
            SHORT_BUDGET
        } else {
            BUDGET
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
        self.send(text).await
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

    async fn answer_totals(&mut self) -> Result<(), Stopped> {
        let heads = self.imports.heads().await.map_err(|error| {
            tracing::warn!(error = %Chain(&error), "the heads of the lanes could not be read");
            Stopped::Totals
        })?;
        for head in heads {
            self.client.tidemark.raise(head);
        }
        let tidemark = self.client.tides.sign(&self.client.tidemark);
        let mut text = Vec::new();
        write_line(
            &mut text,
            &ImportTotals {
                tidemark,
                ..self.totals.clone()
            },
        );
        self.send(text).await
    }

    async fn send(&self, text: Vec<u8>) -> Result<(), Stopped> {
        let sending = self.client.answers.send(Ok(text.into()));
        let sent = timeout(CLIENT_IDLE, sending).await;
        sent.ok().and_then(Result::ok).ok_or(Stopped::ClientLeft)
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
