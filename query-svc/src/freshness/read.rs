//! What a read was answered with, and on which step.
//!
//! Whatever an answer shows raises the tidemark that it carries: hits beyond the watermark,
//! documents read as last written, also under a 304 or a 404.

use chassis::elasticsearch::Found;
use chassis::prefer::Prefer;
use chassis::tidemark::Session;
use schemas::lane::{LaneSeqs, Position};
use schemas::view::View;
use serde::Deserialize;

use super::error::LadderError;
use super::judge::Footing;
use super::options::ReadOptions;

/// The step of the ladder on which a read was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Covered,
    Waited,
    Realtime,
    Stale,
    Held,
}

impl Step {
    /// The value of `Tidemark-Served`, and the label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Waited => "waited",
            Self::Realtime => "realtime",
            Self::Stale => "stale",
            Self::Held => "held",
        }
    }
}

/// An answer with the step on which it was given. Whatever it shows is to be said by `shows`, and
/// its state by `raise_tidemark`, before it is sent.
#[derive(Debug)]
#[must_use]
pub struct Read<T> {
    pub answer: T,
    footing: Footing,
    step: Step,
    session: Session,
    prefer: Prefer,
}

impl<T> Read<T> {
    pub(super) fn new(answer: T, footing: Footing, step: Step, options: &ReadOptions) -> Self {
        Self {
            answer,
            footing,
            step,
            session: options.session.clone(),
            prefer: options.prefer,
        }
    }

    pub fn step(&self) -> Step {
        self.step
    }

    pub fn prefer(&self) -> Prefer {
        self.prefer
    }

    /// The projection version of the build that the view was read from.
    pub fn version(&self, view: View) -> u32 {
        self.footing.ground(view).version
    }

    /// To be called for every document that the answer shows: one newer than the watermark is
    /// remembered in the client's tidemark.
    pub fn shows(&self, view: View, position: Position) {
        let visible = &self.footing.ground(view).visible;
        if position.seq > visible.get(position.lane) {
            self.session.raise(position);
        }
    }

    /// In place of `shows`, for an answer from an earlier state: what is newer than the watermarks
    /// of that state is remembered, since only its `G` is.
    pub fn shows_beyond(&self, visible: &LaneSeqs, position: Position) {
        if position.seq > visible.get(position.lane) {
            self.session.raise(position);
        }
    }

    /// Raises the client's tidemark to the state that was read. Entries are pruned only together
    /// with raising `G` to where they were seen everywhere.
    pub fn raise_tidemark(&self) {
        let settled = &self.footing.settled;
        self.session.update(|tidemark| {
            tidemark.raise_offset(self.footing.offset);
            tidemark.prune(|entry| {
                let mut settled = settled.iter();
                !settled.any(|seen| seen.lane == entry.lane && entry.seq <= seen.seq)
            });
        });
    }

    /// In place of `raise_tidemark`, for an answer from an earlier state, of this `G`. It prunes
    /// nothing.
    pub fn raise_tidemark_to(&self, offset: u64) {
        self.session.raise_offset(offset);
    }
}

impl Read<Option<Found>> {
    /// The document as a `D`, which may borrow from what was read.
    pub fn document<'a, D: Deserialize<'a>>(&'a self) -> Result<Option<D>, LadderError> {
        let source = self.answer.as_ref().map(|found| found.source.get());
        let document = source.map(serde_json::from_str).transpose();
        document.map_err(LadderError::Document)
    }
}
