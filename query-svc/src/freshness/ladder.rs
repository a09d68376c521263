//! The ladder as handlers use it: a read by id, a search, and the need of a tidemark.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{Elasticsearch, ElasticsearchError, Found, SearchOptions};
use chassis::watermark_tail::WatermarkTail;
use schemas::lane::{Lane, Position};
use schemas::view::{View, stored_seq};

use super::climb::{Climb, Proof};
use super::error::LadderError;
use super::heads::Heads;
use super::lag::Lag;
use super::need::Need;
use super::options::{ReadOptions, Reading, Target};
use super::read::Read;
use super::reader::Reader;
use super::resources::Resources;
use super::wait_slots::WaitSlots;
use crate::admission::{Admission, AdmissionError};
use crate::metrics;

/// One per process, shared by all requests.
#[derive(Debug)]
pub struct Ladder {
    resources: Resources,
    tail: OnceLock<WatermarkTail>,
    /// The highest `G` in any tidemark presented so far.
    shown: AtomicU64,
}

/// Limits on concurrent reads.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Reads that call Elasticsearch; more queue.
    pub elasticsearch_concurrency: usize,
    /// Reads that wait. Beyond it, a read that is not covered is answered without waiting.
    pub waiting: usize,
}

impl Ladder {
    pub fn new(elasticsearch: Elasticsearch, heads: Heads, limits: Limits) -> Self {
        Self {
            resources: Resources {
                elasticsearch,
                admission: Admission::new(limits.elasticsearch_concurrency),
                heads,
                wait_slots: WaitSlots::new(limits.waiting),
            },
            tail: OnceLock::new(),
            shown: AtomicU64::new(0),
        }
    }

    /// Sets the watermark topic to follow, once the epoch is known. Only the first call counts.
    pub fn follow(&self, tail: WatermarkTail) {
        let _ = self.tail.set(tail);
    }

    pub fn heads(&self) -> &Heads {
        &self.resources.heads
    }

    pub fn tail(&self) -> Result<&WatermarkTail, LadderError> {
        self.tail.get().ok_or(LadderError::Starting)
    }

    /// True while a client has presented a `G` beyond what this replica has read.
    pub fn is_overtaken(&self) -> bool {
        let shown = self.shown.load(Ordering::Relaxed);
        let tail = self.tail.get();
        tail.is_some_and(|tail| tail.read(|state| state.offset_read() < shown))
    }

    /// Sets the gauges of lag, offset and waiting reads.
    pub fn update_gauges(&self) {
        let Some(tail) = self.tail.get() else { return };
        let now = tail.now();
        metrics::set_waiting(self.resources.wait_slots.taken());
        tail.read(|state| {
            metrics::set_offset(state.offset());
            for view in View::ALL.map(View::name) {
                let lag = state.view(view).and_then(|view| Lag::of(view, now));
                metrics::set_lag(view, lag.map(|lag| (lag.events, lag.seconds)));
            }
        });
    }

    /// Reads one document, as last written. `endpoint` is a label in metrics.
    pub async fn by_id(
        &self,
        options: &ReadOptions,
        endpoint: &'static str,
        view: &'static View,
        target: Target,
    ) -> Result<Read<Option<Found>>, LadderError> {
        let reading = Reading {
            endpoint,
            views: std::slice::from_ref(view),
            target: Some(target),
        };
        let (view, id) = (*view, target.id.to_string());
        let get = async |reader: Reader<'_>| reader.get(view, &id).await;
        let proof: Proof<Option<Found>> = |found, gap| {
            let seq = found.as_ref().and_then(|found| stored_seq(&found.source));
            seq.is_some_and(|seq| gap.is_proven_by(seq))
        };
        let read = self.climb(options, reading, get, Some(proof)).await?;
        let seq = read.answer.as_ref();
        if let Some(seq) = seq.and_then(|found| stored_seq(&found.source)) {
            let lane = Lane::of(target.subject);
            read.shows(view, Position { lane, seq });
        }
        Ok(read)
    }

    /// Runs `ask` when all lanes of the views are covered. It runs again if an index was missing.
    pub async fn search<T>(
        &self,
        options: &ReadOptions,
        reading: Reading,
        ask: impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Read<T>, LadderError> {
        self.climb(options, reading, ask, None).await
    }

    /// What the request needs. For a foreign tidemark these are the lane heads at its arrival,
    /// which are then added to the client's tidemark.
    pub async fn need(
        &self,
        options: &ReadOptions,
        deadline: Deadline,
    ) -> Result<Need, LadderError> {
        let need = Need::of(&options.presented);
        self.shown.fetch_max(need.offset(), Ordering::Relaxed);
        if options.presented.foreign.is_empty() {
            return Ok(need);
        }
        let Some(_slot) = self.resources.wait_slots.take_foreign() else {
            let is_lenient = options.prefer.is_lenient();
            let need = is_lenient.then(|| need.unmeetable());
            return need.ok_or(LadderError::TooManyForeign);
        };
        match self.resources.heads.read("foreign", deadline).await {
            Ok(heads) => {
                let need = need.with_heads(&heads);
                options.session.update(|tidemark| {
                    need.entries().for_each(|entry| tidemark.raise(entry));
                });
                options.session.settle();
                Ok(need)
            }
            Err(_) if options.prefer.is_lenient() => Ok(need.unmeetable()),
            Err(error) => Err(error.into()),
        }
    }

    async fn climb<T>(
        &self,
        options: &ReadOptions,
        reading: Reading,
        read: impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
    ) -> Result<Read<T>, LadderError> {
        let started = clock::instant();
        let deadline = Deadline::within(options.budget());
        let climbing = async {
            let climb = Climb {
                resources: &self.resources,
                tail: self.tail()?,
                options,
                reading,
                need: self.need(options, deadline).await?,
                affinity: affinity(options),
                started,
                deadline,
                read,
                proof,
            };
            climb.run().await
        };
        match climbing.await {
            Ok(read) => {
                metrics::count_read(reading.endpoint, read.step().name());
                Ok(read)
            }
            Err(error) => {
                metrics::count_refused(reading.endpoint, error.problem_type().name());
                if matches!(error, LadderError::Elasticsearch(AdmissionError::QueueFull)) {
                    metrics::count_shed();
                }
                Err(error)
            }
        }
    }
}

/// Sends a session's searches to the same shard copies; a new session gets a random affinity.
fn affinity(options: &ReadOptions) -> SearchOptions {
    let fresh = clock::new_id().as_bytes()[15].max(1);
    let mut affinity = fresh;
    options.session.update(|tidemark| {
        if tidemark.affinity() == 0 {
            tidemark.raise_affinity(fresh);
        }
        affinity = tidemark.affinity();
    });
    SearchOptions {
        preference: Some(format!("session-{affinity}")),
    }
}
