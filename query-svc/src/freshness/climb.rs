//! One read on its way up the ladder: covered, else by id as last written, else waiting.
//!
//! Every judgement is made on a state read once, and the read that follows uses its builds. Each
//! step ends within the request's deadline. Most reads are answered by the first attempt.

use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{ElasticsearchError, SearchOptions};
use chassis::problem::ApiError;
use chassis::watermark_tail::WatermarkTail;
use tokio::sync::watch;
use tokio::time::Instant;

use super::asked::{Asked, Reading};
use super::judge::{Footing, Gap, Question, Target, Verdict, judge};
use super::need::Need;
use super::read::{Read, Reader, Step};
use super::{Ladder, refuse};
use crate::gate::GateError;
use crate::metrics;

/// Between two real-time gets of a read that waits.
const REALTIME_PACE: Duration = Duration::from_millis(100);
/// The longest that the primary may take to say whether an entry exists.
const DOUBT: Duration = Duration::from_secs(1);

/// Whether an answer read as last written closes the gap.
pub(super) type Proof<T> = fn(&T, &Gap) -> bool;

pub(super) struct Climb<'a> {
    pub ladder: &'a Ladder,
    pub tail: &'a WatermarkTail,
    pub asked: &'a Asked,
    pub reading: Reading,
    pub need: Need,
    pub options: SearchOptions,
    pub started: Instant,
    pub deadline: Deadline,
}

enum Attempt<T> {
    Answered(Box<Read<T>>),
    Behind(Behind),
}

struct Behind {
    footing: Option<Footing>,
    gap: Gap,
}

/// How long a read waits, and what wakes it.
struct Patience {
    changes: watch::Receiver<u64>,
    until: Deadline,
}

impl Climb<'_> {
    /// Climbs until an answer is found, or none can be given in time.
    pub(super) async fn run<T>(
        &self,
        read: impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
    ) -> Result<Read<T>, ApiError> {
        // Subscribed before the first judgement, so that no change falls between both.
        let changes = self.tail.changes();
        let behind = match self.attempt(&read, proof, Step::Covered).await? {
            Attempt::Answered(read) => return Ok(*read),
            Attempt::Behind(behind) => behind,
        };
        let doubtful = behind.gap.doubtful.clone();
        let heads = &self.ladder.heads;
        let lost = heads.are_beyond(&doubtful, self.deadline.at_most(DOUBT));
        let patience = self.asked.patience(&behind.gap);
        let place = self.ladder.waiting.try_acquire();
        if patience.is_zero() || place.is_err() {
            return if lost.await {
                Err(refuse::history_changed())
            } else {
                self.settle_for_less(behind, &read).await
            };
        }
        let until = self.deadline.at_most(patience);
        let patience = Patience { changes, until };
        tokio::select! {
            true = lost => Err(refuse::history_changed()),
            attempt = self.wait(behind, &read, proof, patience) => match attempt? {
                Attempt::Answered(read) => Ok(*read),
                Attempt::Behind(behind) => self.settle_for_less(behind, &read).await,
            }
        }
    }

    /// Steps 1 and 2, on the state as it is now.
    async fn attempt<T>(
        &self,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
        covered: Step,
    ) -> Result<Attempt<T>, ApiError> {
        match self.judge() {
            Verdict::Covered(footing) if !footing.held => {
                self.read_covered(footing, covered, read).await
            }
            Verdict::Covered(footing) => match self.reading.target {
                Target::ById(_) if !self.asked.prefer.is_lenient() => Err(refuse::subject_held()),
                _ => self.read_covered(footing, Step::Held, read).await,
            },
            Verdict::Behind {
                footing: Some(footing),
                gap,
            } if !gap.offset_behind => match proof {
                Some(proof) => self.read_as_last_written(footing, gap, proof, read).await,
                None => Ok(Attempt::Behind(Behind {
                    footing: Some(footing),
                    gap,
                })),
            },
            Verdict::Behind { footing, gap } => Ok(Attempt::Behind(Behind { footing, gap })),
        }
    }

    async fn read_covered<T>(
        &self,
        footing: Footing,
        step: Step,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Attempt<T>, ApiError> {
        match self.ask(&footing, read).await {
            Ok(answer) => Ok(self.answer(answer, footing, step)),
            Err(error) if error.is_not_found() => Ok(Attempt::Behind(Behind::without_index())),
            Err(error) => Err(error.into()),
        }
    }

    async fn read_as_last_written<T>(
        &self,
        footing: Footing,
        gap: Gap,
        proof: Proof<T>,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Attempt<T>, ApiError> {
        let answer = match self.ask(&footing, read).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => {
                return Ok(Attempt::Behind(Behind::without_index()));
            }
            Err(error) => return Err(error.into()),
        };
        let is_proven = proof(&answer, &gap);
        metrics::count_realtime(self.reading.endpoint, is_proven);
        Ok(if is_proven {
            self.answer(answer, footing, Step::Realtime)
        } else {
            let footing = Some(footing);
            Attempt::Behind(Behind { footing, gap })
        })
    }

    /// Step 3: judged again at every change, and by id read again at a modest pace.
    async fn wait<T>(
        &self,
        mut behind: Behind,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
        mut patience: Patience,
    ) -> Result<Attempt<T>, ApiError> {
        let mut next_get = Deadline::within(REALTIME_PACE);
        while !patience.until.has_passed() {
            patience.sleep(proof.is_some().then_some(next_get)).await;
            let is_due = next_get.has_passed();
            if is_due {
                next_get = Deadline::within(REALTIME_PACE);
            }
            let proof = proof.filter(|_| is_due);
            behind = match self.attempt(read, proof, Step::Waited).await? {
                Attempt::Behind(behind) => behind,
                answered => return Ok(answered),
            };
        }
        Ok(Attempt::Behind(behind))
    }

    /// The last step: what there is, where the client prefers that to nothing.
    async fn settle_for_less<T>(
        &self,
        behind: Behind,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Read<T>, ApiError> {
        let Behind { footing, gap } = behind;
        let Some(footing) = footing.filter(|_| self.asked.prefer.is_lenient()) else {
            return Err(refuse::not_yet_visible(&gap));
        };
        let answer = self.ask(&footing, read).await?;
        metrics::record_wait(self.reading.endpoint, self.started.elapsed());
        Ok(Read::new(answer, footing, Step::Stale, self.asked))
    }

    fn judge(&self) -> Verdict {
        let question = Question {
            need: &self.need,
            views: self.reading.views,
            target: self.reading.target,
            now: clock::now(),
        };
        self.tail.read(|state| judge(state, question))
    }

    async fn ask<T>(
        &self,
        footing: &Footing,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<T, GateError> {
        let reader = Reader {
            elasticsearch: self.ladder.elasticsearch.within(self.deadline),
            options: self.options.clone(),
            need: &self.need,
            footing,
        };
        self.ladder.gate.pass(self.deadline, read(reader)).await
    }

    fn answer<T>(&self, answer: T, footing: Footing, step: Step) -> Attempt<T> {
        metrics::record_wait(self.reading.endpoint, self.started.elapsed());
        Attempt::Answered(Box::new(Read::new(answer, footing, step, self.asked)))
    }
}

impl Patience {
    /// Until something changed, the time is up, or the earlier moment has come. Which of them it
    /// was makes no difference: all is judged again.
    async fn sleep(&mut self, earlier: Option<Deadline>) {
        let wake = earlier.map_or(self.until, |earlier| earlier.min(self.until));
        let _ = wake.run(self.changes.changed()).await;
    }
}

impl Behind {
    /// The active build's index is gone: a switch that this replica has not heard of, or a loss.
    fn without_index() -> Self {
        let gap = Gap {
            without_build: true,
            ..Gap::default()
        };
        Self { footing: None, gap }
    }
}
