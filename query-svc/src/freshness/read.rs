//! The result of a read: its answer, the step that gave it, and what it adds to the tidemark.
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
use super::judge::Snapshot;
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

/// Before its answer is sent, call `shows` for every document in it, then `raise_tidemark`.
#[derive(Debug)]
#[must_use]
pub struct Read<T> {
    pub answer: T,
    snapshot: Snapshot,
    step: Step,
    session: Session,
    prefer: Prefer,
}

impl<T> Read<T> {
    pub(super) fn new(answer: T, snapshot: Snapshot, step: Step, options: &ReadOptions) -> Self {
        Self {
            answer,
            snapshot,
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
        self.snapshot.active_build(view).version
    }

    /// Adds a shown document to the client's tidemark, if it is newer than the watermark.
    pub fn shows(&self, view: View, position: Position) {
        let visible = &self.snapshot.active_build(view).visible;
        if position.seq > visible.get(position.lane) {
            self.session.raise(position);
        }
    }

    /// Instead of `shows`, for an answer from an earlier state with these watermarks.
    pub fn shows_beyond(&self, visible: &LaneSeqs, position: Position) {
        if position.seq > visible.get(position.lane) {
            self.session.raise(position);
        }
    }

    /// Raises `G` to the state that was read, and removes the entries that every view shows at
    /// that `G`.
    pub fn raise_tidemark(&self) {
        let settled = &self.snapshot.settled;
        self.session.update(|tidemark| {
            tidemark.raise_offset(self.snapshot.offset);
            tidemark.prune(|entry| {
                let mut settled = settled.iter();
                !settled.any(|seen| seen.lane == entry.lane && entry.seq <= seen.seq)
            });
        });
    }

    /// Instead of `raise_tidemark`, for an answer from an earlier state with this `G`. Removes no
    /// entries.
    pub fn raise_tidemark_to(&self, offset: u64) {
        self.session.raise_offset(offset);
    }
}

impl Read<Option<Found>> {
    /// The document, parsed as a `D` that may borrow from it.
    pub fn document<'a, D: Deserialize<'a>>(&'a self) -> Result<Option<D>, LadderError> {
        let source = self.answer.as_ref().map(|found| found.source.get());
        let document = source.map(serde_json::from_str).transpose();
        document.map_err(LadderError::Document)
    }
}
