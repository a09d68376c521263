//! What was decided: the answer, what is to be written, and on what.

use schemas::event::StreamId;
use schemas::lane::Position;

use super::answer::{Answer, ToProblem};
use crate::domain::{RefusalKind, Refuse};
use crate::store::Changes;

#[derive(Debug)]
pub(super) struct Decision {
    pub answer: Answer,
    /// False for what a client has to correct before it asks again: such answers keep no key.
    pub keeps_key: bool,
    pub changes: Changes,
    /// Where the log stood for what this was decided on, as far as it was read already.
    pub positions: Vec<Position>,
    /// The same by stream and version: still to be looked up. What is appended to a subject is
    /// above all earlier events of that subject, so those need not be named.
    pub streams: Vec<(StreamId, u64)>,
}

impl Decision {
    /// An answer without events.
    pub fn unchanged(answer: Answer, streams: Vec<(StreamId, u64)>) -> Self {
        Self {
            answer,
            keeps_key: true,
            changes: Changes::default(),
            positions: Vec::new(),
            streams,
        }
    }

    pub fn refused(refusal: &(impl Refuse + ToProblem), streams: Vec<(StreamId, u64)>) -> Self {
        Self {
            keeps_key: refusal.kind() != RefusalKind::Invalid,
            ..Self::unchanged(Answer::refused(refusal), streams)
        }
    }

    #[must_use]
    pub fn decided_on(mut self, positions: Vec<Position>) -> Self {
        self.positions = positions;
        self
    }
}
