//! One read on its way up the ladder: covered, else by id as last written, else waiting.
//!
//! Every judgement is made on a state read once, and the read that follows uses its builds. Each
//! step ends within the request's deadline. Most reads are answered by the first attempt.

use std::time::Duration;

use chassis::clock::Deadline;
use chassis::elasticsearch::{ElasticsearchError, SearchOptions};
use chassis::watermark_tail::{Wake, WatermarkTail};
use schemas::view::View;
use tokio::time::Instant;

use super::Ladder;
use super::error::LadderError;
use super::judge::{BUILDS, Footing, Gap, Question, Verdict, judge};
use super::need::Need;
use super::options::{ReadOptions, Reading};
use super::read::{Read, Step};
use super::reader::Reader;
use crate::gate::GateError;
use crate::metrics;

/// The longest that the primary may take to say whether an entry exists.
const DOUBT: Duration = Duration::from_secs(1);

/// Whether an answer read as last written closes the gap.
pub(super) type Proof<T> = fn(&T, &Gap) -> bool;

pub(super) struct Climb<'a> {
    pub ladder: &'a Ladder,
    pub tail: &'a WatermarkTail,
    pub options: &'a ReadOptions,
    pub reading: Reading,
    pub need: Need,
    pub affinity: SearchOptions,
    pub started: Instant,
    pub deadline: Deadline,
}

enum Attempt<T> {
    Answered(Box<Read<T>>),
    Behind(Box<Behind>),
}

struct Behind {
    footing: Option<Footing>,
    gap: Gap,
    /// Comes when it is worth judging again; none where it is at once.
    wake: Option<Wake>,
    /// Why the last real-time get said nothing.
    failed: Option<GateError>,
}

impl Climb<'_> {
    /// Climbs until an answer is found, or none can be given in time.
    pub(super) async fn run<T>(
        &self,
        read: impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
    ) -> Result<Read<T>, LadderError> {
        let behind = match self.attempt(&read, proof, Step::Covered).await? {
            Attempt::Answered(read) => return Ok(*read),
            Attempt::Behind(behind) => *behind,
        };
        let doubtful = behind.gap.doubtful.clone();
        let heads = &self.ladder.heads;
        let lost = heads.are_beyond(&doubtful, self.deadline.at_most(DOUBT));
        let patience = self.options.patience(&behind.gap);
        let is_foreign = !self.options.presented.foreign.is_empty();
        let place = self.ladder.places.take(is_foreign);
        if patience.is_zero() || place.is_none() {
            return if lost.await {
                Err(self.refuse_history())
            } else {
                self.settle_for_less(behind, &read).await
            };
        }
        let until = self.deadline.at_most(patience);
        tokio::select! {
            true = lost => Err(self.refuse_history()),
            attempt = self.wait(behind, &read, proof, until) => match attempt? {
                Attempt::Answered(read) => Ok(*read),
                Attempt::Behind(behind) => self.settle_for_less(*behind, &read).await,
            }
        }
    }

    /// The answer's tidemark starts over, so that a client that goes on with it is served.
    fn refuse_history(&self) -> LadderError {
        self.options.session.start_over();
        LadderError::HistoryChanged
    }

    /// Steps 1 and 2, on the state as it is now.
    async fn attempt<T>(
        &self,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
        covered: Step,
    ) -> Result<Attempt<T>, LadderError> {
        let (verdict, wake) = self.judge();
        match verdict {
            Verdict::Covered(footing) if !footing.held => {
                self.read_covered(footing, covered, read).await
            }
            Verdict::Covered(footing) => match self.reading.target {
                Some(_) if !self.options.prefer.is_lenient() => Err(LadderError::SubjectHeld),
                _ => self.read_covered(footing, Step::Held, read).await,
            },
            Verdict::Behind { footing, gap } => {
                let behind = Behind::new(footing, gap, wake);
                match (proof, &behind.footing) {
                    (Some(proof), Some(_)) if !behind.gap.offset_behind => {
                        self.read_as_last_written(behind, proof, read).await
                    }
                    _ => Ok(Attempt::behind(behind)),
                }
            }
        }
    }

    async fn read_covered<T>(
        &self,
        footing: Footing,
        step: Step,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Attempt<T>, LadderError> {
        match self.ask(&footing, read).await {
            Ok(answer) => Ok(self.answer(answer, footing, step)),
            Err(error) if error.is_not_found() => Ok(Attempt::behind(self.without_index(&footing))),
            Err(error) => Err(error.into()),
        }
    }

    /// A get that fails says nothing: the lane may become visible all the same.
    async fn read_as_last_written<T>(
        &self,
        behind: Behind,
        proof: Proof<T>,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Attempt<T>, LadderError> {
        let Some(footing) = &behind.footing else {
            return Ok(Attempt::behind(behind));
        };
        let answer = match self.ask(footing, read).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => {
                return Ok(Attempt::behind(self.without_index(footing)));
            }
            Err(error) if error.is_transient() => {
                metrics::count_realtime(self.reading.endpoint, "failed");
                let failed = Some(error);
                return Ok(Attempt::behind(Behind { failed, ..behind }));
            }
            Err(error) => return Err(error.into()),
        };
        let is_proven = proof(&answer, &behind.gap);
        let outcome = if is_proven { "proven" } else { "not_yet" };
        metrics::count_realtime(self.reading.endpoint, outcome);
        Ok(match behind.footing {
            Some(footing) if is_proven => self.answer(answer, footing, Step::Realtime),
            _ => Attempt::behind(behind),
        })
    }

    /// Step 3: judged again when what is missing has come, and by id read again at a pace that
    /// all waiting reads share.
    async fn wait<T>(
        &self,
        mut behind: Behind,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
        proof: Option<Proof<T>>,
        until: Deadline,
    ) -> Result<Attempt<T>, LadderError> {
        let poller = proof.map(|_| self.ladder.places.poller());
        let next = || {
            poller
                .as_ref()
                .map(|poller| Deadline::within(poller.pace()))
        };
        let mut next_get = next();
        while !until.has_passed() {
            behind
                .sleep(next_get.map_or(until, |get| get.min(until)))
                .await;
            let is_due = next_get.is_some_and(Deadline::has_passed);
            let proof = proof.filter(|_| is_due);
            let failed = behind.failed.take();
            behind = match self.attempt(read, proof, Step::Waited).await? {
                Attempt::Behind(behind) => *behind,
                answered => return Ok(answered),
            };
            if is_due {
                next_get = next();
            } else {
                behind.failed = failed;
            }
        }
        Ok(Attempt::behind(behind))
    }

    /// The last step: what there is, where the client prefers that to nothing.
    async fn settle_for_less<T>(
        &self,
        behind: Behind,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<Read<T>, LadderError> {
        let is_lenient = self.options.prefer.is_lenient();
        let Some(footing) = behind.footing.filter(|_| is_lenient) else {
            let behind_gap = || LadderError::not_yet_visible(behind.gap);
            return Err(behind.failed.map_or_else(behind_gap, LadderError::from));
        };
        let answer = match self.ask(&footing, read).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => {
                return Err(LadderError::not_yet_visible(Gap::without_build()));
            }
            Err(error) => return Err(error.into()),
        };
        metrics::record_wait(self.reading.endpoint, self.started.elapsed());
        Ok(Read::new(answer, footing, Step::Stale, self.options))
    }

    /// Where the read is behind, it joins those who wait for what is missing: in one with the
    /// judgement, so that no change falls between both.
    fn judge(&self) -> (Verdict, Option<Wake>) {
        let question = Question {
            need: &self.need,
            views: self.reading.views,
            subject: self.reading.target.map(|target| target.subject),
            now: self.tail.now(),
        };
        self.tail.read_or_wait(|state| {
            let verdict = judge(state, question);
            let goal = match &verdict {
                Verdict::Covered(_) => None,
                Verdict::Behind { gap, .. } => Some(gap.goal(&self.need)),
            };
            (verdict, goal)
        })
    }

    /// The active build's index is gone: a switch that this replica has not read, or a loss.
    fn without_index(&self, footing: &Footing) -> Behind {
        let ((), wake) = self.tail.read_or_wait(|state| {
            let is_active = |view: View, build| {
                let known = state.view(view.name());
                known.is_some_and(|known| known.active == Some(build))
            };
            let mut grounds = footing.grounds.iter();
            let unchanged = grounds.all(|ground| is_active(ground.view, ground.build));
            ((), unchanged.then_some(BUILDS))
        });
        Behind::new(None, Gap::without_build(), wake)
    }

    async fn ask<T>(
        &self,
        footing: &Footing,
        read: &impl AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
    ) -> Result<T, GateError> {
        let reader = Reader {
            elasticsearch: self.ladder.elasticsearch.within(self.deadline),
            affinity: &self.affinity,
            need: &self.need,
            footing,
        };
        self.ladder.gate.pass(self.deadline, read(reader)).await
    }

    fn answer<T>(&self, answer: T, footing: Footing, step: Step) -> Attempt<T> {
        metrics::record_wait(self.reading.endpoint, self.started.elapsed());
        Attempt::Answered(Box::new(Read::new(answer, footing, step, self.options)))
    }
}

impl<T> Attempt<T> {
    fn behind(behind: Behind) -> Self {
        Self::Behind(Box::new(behind))
    }
}

impl Behind {
    fn new(footing: Option<Footing>, gap: Gap, wake: Option<Wake>) -> Self {
        Self {
            footing,
            gap,
            wake,
            failed: None,
        }
    }

    /// Until it is worth judging again, or the time has come. Which of them it was makes no
    /// difference: all is judged again.
    async fn sleep(&mut self, until: Deadline) {
        if let Some(wake) = &mut self.wake {
            let _ = until.run(wake.woken()).await;
        }
    }
}
