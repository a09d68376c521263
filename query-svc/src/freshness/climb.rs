//! One read climbs the ladder: the steps are tried in order until one answers.
//!
//! Each judgement and the read that follows it use the same snapshot of the watermark topic. Each
//! step ends within the request's deadline. Most reads are answered by the first step.

use std::ops::ControlFlow::{self, Break, Continue};

use chassis::clock::Deadline;
use chassis::elasticsearch::{ElasticsearchError, SearchOptions};
use chassis::watermark_tail::WatermarkTail;
use schemas::view::View;
use tokio::time::Instant;

use super::error::LadderError;
use super::judge::{BUILD_CHANGE, Gap, Question, Snapshot, Verdict, judge};
use super::need::Need;
use super::options::{ReadOptions, Reading};
use super::read::{Read, Step};
use super::read_state::ReadState;
use super::reader::Reader;
use super::resources::Resources;
use crate::admission::AdmissionError;
use crate::config::ENTRY_CHECK_TIMEOUT;
use crate::metrics;

/// The ladder: the order of its steps.
const STEPS: [Step; 5] = [
    Step::Covered,
    Step::Held,
    Step::Realtime,
    Step::Waited,
    Step::Stale,
];

/// Whether an answer read as last written closes the gap.
pub(super) type Proof<T> = fn(&T, &Gap) -> bool;

/// `F` reads a `T`. It runs again after an index was missing or a lane became visible.
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
    /// None for a search: its hits do not prove that an entry is visible.
    pub proof: Option<Proof<T>>,
}

/// The result of a step: an answer, or the state for the next step.
type Tried<T> = Result<ControlFlow<Read<T>, ReadState>, LadderError>;

impl<T, F> Climb<'_, T, F>
where
    F: AsyncFn(Reader<'_>) -> Result<T, ElasticsearchError>,
{
    /// Tries the steps until one answers.
    pub(super) async fn run(&self) -> Result<Read<T>, LadderError> {
        let mut state = self.judge();
        for step in STEPS {
            let tried = match step {
                Step::Covered | Step::Held => self.read_covered(step, state).await,
                Step::Realtime => self.read_as_last_written(state).await,
                Step::Waited => self.wait(state).await,
                Step::Stale => self.read_stale(state).await,
            };
            state = match tried? {
                Break(read) => return Ok(read),
                Continue(state) => state,
            };
        }
        Err(state.into_error())
    }

    /// Reads what is covered. Where the read needs events that are held back, that is the step
    /// `held`: for searches, and by id only for clients that accept a stale document.
    async fn read_covered(&self, step: Step, mut state: ReadState) -> Tried<T> {
        let is_held = step == Step::Held;
        let is_covered = state.is_covered;
        let snapshot = &mut state.snapshot;
        let Some(snapshot) = snapshot.take_if(|snapshot| is_covered && snapshot.held == is_held)
        else {
            return Ok(Continue(state));
        };
        if is_held && self.reading.target.is_some() && !self.options.prefer.is_lenient() {
            return Err(LadderError::SubjectHeld);
        }
        match self.ask(&snapshot).await {
            Ok(answer) => Ok(Break(self.answer(answer, snapshot, step))),
            Err(error) if error.is_not_found() => Ok(Continue(self.without_index(&snapshot))),
            Err(error) => Err(error.into()),
        }
    }

    /// A real-time get, which sees documents before searches do. It answers if the document's seq
    /// proves that the needed events are in it. If it fails, the read goes on to wait.
    async fn read_as_last_written(&self, mut state: ReadState) -> Tried<T> {
        let (Some(proof), Some(snapshot)) = (self.proof, &state.snapshot) else {
            return Ok(Continue(state));
        };
        if state.gap.offset_behind {
            return Ok(Continue(state));
        }
        let answer = match self.ask(snapshot).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => {
                return Ok(Continue(self.without_index(snapshot)));
            }
            Err(error) if error.is_transient() => {
                metrics::count_realtime(self.reading.endpoint, "failed");
                state.failed = Some(error);
                return Ok(Continue(state));
            }
            Err(error) => return Err(error.into()),
        };
        let is_proven = proof(&answer, &state.gap);
        let outcome = if is_proven { "proven" } else { "not_yet" };
        metrics::count_realtime(self.reading.endpoint, outcome);
        Ok(match state.snapshot.take_if(|_| is_proven) {
            Some(snapshot) => Break(self.answer(answer, snapshot, Step::Realtime)),
            None => Continue(state),
        })
    }

    /// Waits for as long as the options allow. At the same time the primary is asked whether
    /// entries that no projector has seen exist.
    async fn wait(&self, state: ReadState) -> Tried<T> {
        let doubtful = state.gap.doubtful.clone();
        let heads = &self.resources.heads;
        let lost = heads.are_beyond(&doubtful, self.deadline.at_most(ENTRY_CHECK_TIMEOUT));
        let patience = self.options.patience(&state.gap);
        let is_foreign = !self.options.presented.foreign.is_empty();
        let slot = self.resources.wait_slots.take(is_foreign);
        if patience.is_zero() || slot.is_none() {
            return if lost.await {
                Err(self.history_lost())
            } else {
                Ok(Continue(state))
            };
        }
        let until = self.deadline.at_most(patience);
        tokio::select! {
            true = lost => Err(self.history_lost()),
            tried = self.wait_until(until, state) => tried,
        }
    }

    /// Resets the client's tidemark, so that its next request is served.
    fn history_lost(&self) -> LadderError {
        self.options.session.start_over();
        LadderError::HistoryChanged
    }

    /// Judges again when what is missing has become visible. A read by id also repeats its
    /// real-time get, at a rate that all waiting reads share.
    async fn wait_until(&self, until: Deadline, mut state: ReadState) -> Tried<T> {
        let poller = self.proof.map(|_| self.resources.wait_slots.poller());
        let next = || {
            let poller = poller.as_ref();
            poller.map(|poller| Deadline::within(poller.pace()))
        };
        let mut next_get = next();
        while !until.has_passed() {
            let sleep = next_get.map_or(until, |get| get.min(until));
            state.sleep(sleep).await;
            let is_due = next_get.is_some_and(Deadline::has_passed);
            let failed = state.failed.take();
            state = match self.look_again(is_due).await? {
                Continue(state) => state,
                answered => return Ok(answered),
            };
            if is_due {
                next_get = next();
            } else {
                state.failed = failed;
            }
        }
        Ok(Continue(state))
    }

    /// Repeats the steps before `waited` on the current state.
    async fn look_again(&self, is_get_due: bool) -> Tried<T> {
        let state = match self.read_covered(Step::Waited, self.judge()).await? {
            Continue(state) => state,
            answered => return Ok(answered),
        };
        match self.read_covered(Step::Held, state).await? {
            Continue(state) if is_get_due => self.read_as_last_written(state).await,
            tried => Ok(tried),
        }
    }

    /// Reads whatever is there, for clients that prefer a stale answer to none.
    async fn read_stale(&self, mut state: ReadState) -> Tried<T> {
        let is_lenient = self.options.prefer.is_lenient();
        let Some(snapshot) = state.snapshot.take_if(|_| is_lenient) else {
            return Ok(Continue(state));
        };
        match self.ask(&snapshot).await {
            Ok(answer) => Ok(Break(self.answer(answer, snapshot, Step::Stale))),
            Err(error) if error.is_not_found() => {
                Err(LadderError::not_yet_visible(Gap::without_build()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Judges the current state. A read that is behind registers for its wake-up under the same
    /// lock, so that no change is missed in between.
    fn judge(&self) -> ReadState {
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
            Verdict::Covered(snapshot) => ReadState {
                is_covered: true,
                snapshot: Some(snapshot),
                gap: Gap::default(),
                wake,
                failed: None,
            },
            Verdict::Behind { snapshot, gap } => ReadState::behind(snapshot, gap, wake),
        }
    }

    /// The active build's index is missing: it was lost, or this replica has not read the switch yet.
    fn without_index(&self, snapshot: &Snapshot) -> ReadState {
        let ((), wake) = self.tail.read_or_wait(|state| {
            let is_active = |view: View, build| {
                let known = state.view(view.name());
                known.is_some_and(|known| known.active == Some(build))
            };
            let mut builds = snapshot.builds.iter();
            let unchanged =
                builds.all(|active_build| is_active(active_build.view, active_build.build));
            ((), unchanged.then_some(BUILD_CHANGE))
        });
        ReadState::behind(None, Gap::without_build(), wake)
    }

    async fn ask(&self, snapshot: &Snapshot) -> Result<T, AdmissionError> {
        let reader = Reader {
            elasticsearch: self.resources.elasticsearch.within(self.deadline),
            affinity: &self.affinity,
            need: &self.need,
            snapshot,
        };
        let read = (self.read)(reader);
        self.resources.admission.run(self.deadline, read).await
    }

    fn answer(&self, answer: T, snapshot: Snapshot, step: Step) -> Read<T> {
        metrics::record_wait(self.reading.endpoint, self.started.elapsed());
        Read::new(answer, snapshot, step, self.options)
    }
}
