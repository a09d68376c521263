//! The read ladder: every read is answered at least as fresh as the tidemark that asks for it.
//!
//! `need` and `judge` are pure and decide; `climb` does what they say. Handlers name their views
//! and ask Elasticsearch through a `Reader`; what they show raises the tidemark through `Read`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{Elasticsearch, ElasticsearchError, Found, SearchOptions};
use chassis::problem::ApiError;
use chassis::watermark_tail::WatermarkTail;
use schemas::lane::{Lane, Position};

mod asked;
mod climb;
mod heads;
mod judge;
mod lag;
mod need;
mod places;
mod read;
mod refuse;

pub use asked::{Asked, Reading};
pub use heads::{Heads, HeadsError};
pub use judge::{Footing, Gap, Ground, LaneGap, Question, Target, Verdict, judge};
pub use lag::Lag;
pub use need::Need;
pub use read::{Read, Reader, Step};

use climb::{Climb, Proof};
use places::Places;

use crate::gate::Gate;
use crate::metrics;

/// One for the process: what all reads share.
#[derive(Debug)]
pub struct Ladder {
    elasticsearch: Elasticsearch,
    gate: Gate,
    heads: Heads,
    places: Places,
    tail: OnceLock<WatermarkTail>,
    /// The highest `G` that any client has shown.
    shown: AtomicU64,
}

/// How much the ladder bears at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests to Elasticsearch under way.
    pub asking: usize,
    /// Reads that wait; beyond it, a read that is not covered is answered at once.
    pub waiting: usize,
}

impl Ladder {
    pub fn new(elasticsearch: Elasticsearch, heads: Heads, bounds: Bounds) -> Self {
        Self {
            elasticsearch,
            gate: Gate::new(bounds.asking),
            heads,
            places: Places::new(bounds.waiting),
            tail: OnceLock::new(),
            shown: AtomicU64::new(0),
        }
    }

    /// Gives the ladder its footing, once the epoch is known. The first counts.
    pub fn follow(&self, tail: WatermarkTail) {
        let _ = self.tail.set(tail);
    }

    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    pub fn elasticsearch(&self) -> &Elasticsearch {
        &self.elasticsearch
    }

    pub fn tail(&self) -> Result<&WatermarkTail, ApiError> {
        let starting = || ApiError::unavailable("kafka", "the service is starting");
        self.tail.get().ok_or_else(starting)
    }

    /// True while some client has been served from further on in the watermark topic than this
    /// replica has read.
    pub fn is_overtaken(&self) -> bool {
        let shown = self.shown.load(Ordering::Relaxed);
        let tail = self.tail.get();
        tail.is_some_and(|tail| tail.read(|state| state.offset_read() < shown))
    }

    /// Says in metrics what this replica knows and how many wait.
    pub fn observe(&self) {
        let Some(tail) = self.tail.get() else { return };
        let waiting = self.places.taken();
        tail.read(|state| metrics::observe(waiting, state, clock::now()));
    }

    /// Reads one document of the reading's first view, as last written.
    pub async fn by_id(
        &self,
        asked: &Asked,
        reading: Reading,
    ) -> Result<Read<Option<Found>>, ApiError> {
        let Target::ById(subject) = reading.target else {
            return Err(ApiError::internal("a read by id needs an id"));
        };
        let (view, id) = (reading.views[0], subject.to_string());
        let get = async |reader: Reader<'_>| {
            let index = reader.index(view);
            reader.elasticsearch.get(index, &id).await
        };
        let proof: Proof<Option<Found>> = |found, gap| {
            let found = found.as_ref();
            found.is_some_and(|found| gap.is_proven_by(found.version))
        };
        let read = self.climb(asked, reading, get, Some(proof)).await?;
        if let Some(found) = &read.answer {
            let (lane, seq) = (Lane::of(subject), found.version);
            read.shows(view, Position { lane, seq });
        }
        Ok(read)
    }

    /// Asks whatever `ask` asks, once all lanes of the views are covered. It is called again
    /// where an index was gone.
    pub async fn search<T>(
        &self,
        asked: &Asked,
        reading: Reading,
        ask: impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Read<T>, ApiError> {
        self.climb(asked, reading, ask, None).await
    }

    /// What the request needs. For a foreign tidemark these are the lane heads at its arrival,
    /// which the client's new tidemark then carries.
    pub async fn need(&self, asked: &Asked, deadline: Deadline) -> Result<Need, ApiError> {
        let need = Need::of(&asked.presented);
        self.shown.fetch_max(need.offset(), Ordering::Relaxed);
        if asked.presented.foreign.is_empty() {
            return Ok(need);
        }
        let Some(_turn) = self.places.take_foreign() else {
            let refused = refuse::too_many_foreign();
            let is_lenient = asked.prefer.is_lenient();
            return is_lenient.then(|| need.unmeetable()).ok_or(refused);
        };
        match self.heads.read("foreign", deadline).await {
            Ok(heads) => {
                let need = need.with_heads(&heads);
                asked.session.update(|tidemark| {
                    need.entries().for_each(|entry| tidemark.raise(entry));
                });
                asked.session.settle();
                Ok(need)
            }
            Err(_) if asked.prefer.is_lenient() => Ok(need.unmeetable()),
            Err(error) => Err(ApiError::unavailable("postgres", error)),
        }
    }

    async fn climb<T>(
        &self,
        asked: &Asked,
        reading: Reading,
        read: impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
    ) -> Result<Read<T>, ApiError> {
        let started = clock::instant();
        let deadline = Deadline::within(asked.budget());
        let climbing = async {
            let climb = Climb {
                ladder: self,
                tail: self.tail()?,
                asked,
                reading,
                need: self.need(asked, deadline).await?,
                options: affinity(asked),
                started,
                deadline,
            };
            climb.run(read, proof).await
        };
        match climbing.await {
            Ok(read) => {
                metrics::count_read(reading.endpoint, read.step().name());
                Ok(read)
            }
            Err(error) => {
                metrics::count_refused(reading.endpoint, &error);
                let applied = asked.prefer.applied().into_iter();
                Err(applied.fold(error, |error, (name, value)| error.with_header(name, value)))
            }
        }
    }
}

/// Keeps a session on the same copies of an index; a new one gets some at random.
fn affinity(asked: &Asked) -> SearchOptions {
    let fresh = clock::new_id().as_bytes()[15].max(1);
    let mut affinity = fresh;
    asked.session.update(|tidemark| {
        if tidemark.affinity() == 0 {
            tidemark.raise_affinity(fresh);
        }
        affinity = tidemark.affinity();
    });
    SearchOptions {
        preference: Some(format!("session-{affinity}")),
    }
}
