//! What a handler gets to read with, and what it answers with.
//!
//! Whatever an answer shows raises the tidemark that it carries: hits beyond the watermark,
//! documents read as last written, also under a 304 or a 404.

use chassis::elasticsearch::{Elasticsearch, SearchOptions};
use chassis::prefer::Prefer;
use chassis::tidemark::Session;
use schemas::id::Epoch;
use schemas::lane::{LaneSeqs, Position};
use schemas::view::View;

use super::judge::Footing;
use super::need::Need;
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

/// How to ask Elasticsearch for one read: where it stands, and a client that ends in time.
#[derive(Debug)]
pub struct Reader<'a> {
    pub elasticsearch: Elasticsearch,
    /// Keep the session on the same copies. Not for a point in time, which has copies of its own.
    pub options: SearchOptions,
    pub(super) need: &'a Need,
    pub(super) footing: &'a Footing,
}

impl Reader<'_> {
    /// The physical index of the view's active build; never ask an alias.
    #[expect(
        clippy::should_implement_trait,
        reason = "an index of Elasticsearch, not a place in a list"
    )]
    pub fn index(&self, view: View) -> &str {
        &self.footing.ground(view).index
    }

    pub fn build(&self, view: View) -> u32 {
        self.footing.ground(view).build
    }

    /// The watermarks before anything was asked.
    pub fn visible(&self, view: View) -> &LaneSeqs {
        &self.footing.ground(view).visible
    }

    pub fn epoch(&self) -> Epoch {
        self.footing.epoch
    }

    /// `G` before anything was asked, as it is issued.
    pub fn offset(&self) -> u64 {
        self.footing.offset
    }

    /// How far the topic was read before anything was asked: what `G` is compared with.
    pub fn offset_read(&self) -> u64 {
        self.footing.offset_read
    }

    /// True when the view's watermarks had reached the floors before anything was asked.
    pub fn floors_met(&self, view: View) -> bool {
        self.footing.ground(view).floors_met
    }

    /// What this request needs of a state that it is served from.
    pub fn need(&self) -> &Need {
        self.need
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
