//! One read on its way up the ladder: the steps are tried in their order until one answers.
//!
//! Every judgement is made on a state read once, and the read that follows uses its builds. Each
//! step ends within the request's deadline. Most reads are answered by the first step.

use std::ops::ControlFlow::{self, Break, Continue};

use chassis::clock::Deadline;
use chassis::elasticsearch::{ElasticsearchError, SearchOptions};
use chassis::watermark_tail::WatermarkTail;
use schemas::view::View;
use tokio::time::Instant;

use super::error::LadderError;
use super::judge::{BUILDS, Footing, Gap, Question, Verdict, judge};
use super::need::Need;
use super::options::{ReadOptions, Reading};
use super::read::{Read, Step};
use super::reader::Reader;
use super::resources::Resources;
use super::standing::Standing;
use crate::config::ENTRY_CHECK_TIMEOUT;
use crate::gate::GateError;
use crate::metrics;

/// The ladder.
const STEPS: [Step; 5] = [
    Step::Covered,
    Step::Held,
    Step::Realtime,
    Step::Waited,
    Step::Stale,
];

/// Whether an answer read as last written closes the gap.
pub(super) type Proof<T> = fn(&T, &Gap) -> bool;

/// `F` reads a `T`. It is called again where an index was gone, or a lane has become visible.
pub(super) struct Climb<'a, T, F> {
    pub resources: &'a Resources,
    pub tail: &'a WatermarkTail,
    pub options: &'a ReadOptions,
    pub reading: Reading,
    pub need: Need,
    pub affinity: SearchOptions,
    pub started: Instant,
    pub deadline: Deadline,
    pub read: F,
    /// Of a read by id; a search cannot be proven to show an entry.
    pub proof: Option<Proof<T>>,
}

/// What a step comes to: an answer, or where the next step starts.
type Tried<T> = Result<ControlFlow<Read<T>, Standing>, LadderError>;

impl<T, F> Climb<'_, T, F>
where
    F: AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
{
    /// Climbs until a step answers, or none can in time.
    pub(super) async fn run(&self) -> Result<Read<T>, LadderError> {
        let mut standing = self.judge();
        for step in STEPS {
            let tried = match step {
                Step::Covered | Step::Held => self.read_covered(step, standing).await,
                Step::Realtime => self.read_as_last_written(standing).await,
                Step::Waited => self.wait(standing).await,
                Step::Stale => self.read_stale(standing).await,
            };
            standing = match tried? {
                Break(read) => return Ok(read),
                Continue(standing) => standing,
            };
        }
        Err(standing.into_error())
    }

    /// What is covered, on the step `held` where the read asks for events that are held back. One
    /// document of a held subject is read only by those who accept a stale one.
    async fn read_covered(&self, step: Step, mut standing: Standing) -> Tried<T> {
        let is_held = step == Step::Held;
        let is_covered = standing.is_covered;
        let footing = &mut standing.footing;
        let Some(footing) = footing.take_if(|footing| is_covered && footing.held == is_held) else {
            return Ok(Continue(standing));
        };
        if is_held && self.reading.target.is_some() && !self.options.prefer.is_lenient() {
            return Err(LadderError::SubjectHeld);
        }
        match self.ask(&footing).await {
            Ok(answer) => Ok(Break(self.answer(answer, footing, step))),
            Err(error) if error.is_not_found() => Ok(Continue(self.without_index(&footing))),
            Err(error) => Err(error.into()),
        }
    }

    /// By id: what the index has not shown to searches yet, where it proves the entries. A get that
    /// fails proves nothing: the lane may become visible all the same.
    async fn read_as_last_written(&self, mut standing: Standing) -> Tried<T> {
        let (Some(proof), Some(footing)) = (self.proof, &standing.footing) else {
            return Ok(Continue(standing));
        };
        if standing.gap.offset_behind {
            return Ok(Continue(standing));
        }
        let answer = match self.ask(footing).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => {
                return Ok(Continue(self.without_index(footing)));
            }
            Err(error) if error.is_transient() => {
                metrics::count_realtime(self.reading.endpoint, "failed");
                standing.failed = Some(error);
                return Ok(Continue(standing));
            }
            Err(error) => return Err(error.into()),
        };
        let is_proven = proof(&answer, &standing.gap);
        let outcome = if is_proven { "proven" } else { "not_yet" };
        metrics::count_realtime(self.reading.endpoint, outcome);
        Ok(match standing.footing.take_if(|_| is_proven) {
            Some(footing) => Break(self.answer(answer, footing, Step::Realtime)),
            None => Continue(standing),
        })
    }

    /// Waits for as long as it is worth, while the primary is asked whether entries that no
    /// projector has seen exist at all.
    async fn wait(&self, standing: Standing) -> Tried<T> {
        let doubtful = standing.gap.doubtful.clone();
        let heads = &self.resources.heads;
        let lost = heads.are_beyond(&doubtful, self.deadline.at_most(ENTRY_CHECK_TIMEOUT));
        let patience = self.options.patience(&standing.gap);
        let is_foreign = !self.options.presented.foreign.is_empty();
        let place = self.resources.places.take(is_foreign);
        if patience.is_zero() || place.is_none() {
            return if lost.await {
                Err(self.history_lost())
            } else {
                Ok(Continue(standing))
            };
        }
        let until = self.deadline.at_most(patience);
        tokio::select! {
            true = lost => Err(self.history_lost()),
            tried = self.wait_until(until, standing) => tried,
        }
    }

    /// The answer's tidemark starts over, so that a client that goes on with it is served.
    fn history_lost(&self) -> LadderError {
        self.options.session.start_over();
        LadderError::HistoryChanged
    }

    /// Judges again when what is missing has come, and by id reads again at a pace that all waiting
    /// reads share.
    async fn wait_until(&self, until: Deadline, mut standing: Standing) -> Tried<T> {
        let poller = self.proof.map(|_| self.resources.places.poller());
        let next = || {
            let poller = poller.as_ref();
            poller.map(|poller| Deadline::within(poller.pace()))
        };
        let mut next_get = next();
        while !until.has_passed() {
            let sleep = next_get.map_or(until, |get| get.min(until));
            standing.sleep(sleep).await;
            let is_due = next_get.is_some_and(Deadline::has_passed);
            let failed = standing.failed.take();
            standing = match self.look_again(is_due).await? {
                Continue(standing) => standing,
                answered => return Ok(answered),
            };
            if is_due {
                next_get = next();
            } else {
                standing.failed = failed;
            }
        }
        Ok(Continue(standing))
    }

    /// The steps before `waited` once more, on the state as it is now.
    async fn look_again(&self, is_get_due: bool) -> Tried<T> {
        let standing = match self.read_covered(Step::Waited, self.judge()).await? {
            Continue(standing) => standing,
            answered => return Ok(answered),
        };
        match self.read_covered(Step::Held, standing).await? {
            Continue(standing) if is_get_due => self.read_as_last_written(standing).await,
            tried => Ok(tried),
        }
    }

    /// What there is, for clients who prefer that to nothing.
    async fn read_stale(&self, mut standing: Standing) -> Tried<T> {
        let is_lenient = self.options.prefer.is_lenient();
        let Some(footing) = standing.footing.take_if(|_| is_lenient) else {
            return Ok(Continue(standing));
        };
        match self.ask(&footing).await {
            Ok(answer) => Ok(Break(self.answer(answer, footing, Step::Stale))),
            Err(error) if error.is_not_found() => {
                Err(LadderError::not_yet_visible(Gap::without_build()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where the read is behind, it joins those who wait for what is missing: in one with the
    /// judgement, so that no change falls between both.
    fn judge(&self) -> Standing {
        let question = Question {
            need: &self.need,
            views: self.reading.views,
            subject: self.reading.target.map(|target| target.subject),
            now: self.tail.now(),
        };
        let (verdict, wake) = self.tail.read_or_wait(|state| {
            let verdict = judge(state, question);
            let goal = match &verdict {
                Verdict::Covered(_) => None,
                Verdict::Behind { gap, .. } => Some(gap.goal(&self.need)),
            };
            (verdict, goal)
        });
        match verdict {
            Verdict::Covered(footing) => Standing {
                is_covered: true,
                footing: Some(footing),
                gap: Gap::default(),
                wake,
                failed: None,
            },
            Verdict::Behind { footing, gap } => Standing::behind(footing, gap, wake),
        }
    }

    /// The active build's index is gone: a switch that this replica has not read, or a loss.
    fn without_index(&self, footing: &Footing) -> Standing {
        let ((), wake) = self.tail.read_or_wait(|state| {
            let is_active = |view: View, build| {
                let known = state.view(view.name());
                known.is_some_and(|known| known.active == Some(build))
            };
            let mut grounds = footing.grounds.iter();
            let unchanged = grounds.all(|ground| is_active(ground.view, ground.build));
            ((), unchanged.then_some(BUILDS))
        });
        Standing::behind(None, Gap::without_build(), wake)
    }

    async fn ask(&self, footing: &Footing) -> Result<T, GateError> {
        let reader = Reader {
            elasticsearch: self.resources.elasticsearch.within(self.deadline),
            affinity: &self.affinity,
            need: &self.need,
            footing,
        };
        let read = (self.read)(reader);
        self.resources.gate.pass(self.deadline, read).await
    }

    fn answer(&self, answer: T, footing: Footing, step: Step) -> Read<T> {
        metrics::record_wait(self.reading.endpoint, self.started.elapsed());
        Read::new(answer, footing, step, self.options)
    }
}
