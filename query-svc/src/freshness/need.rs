//! What a read needs: how far the sea must have risen before its answer may be given.
//!
//! A request without a tidemark needs nothing. One with a foreign tidemark needs the lane heads at
//! its arrival, since what its client wrote or saw is somewhere below them.

use chassis::tidemark::Presented;
use schemas::lane::{Lane, LaneSeqs, Position, Seq};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// False where no tidemark was presented: then nothing is needed, not even the floors.
    bound: bool,
    offset: u64,
    entries: LaneSeqs,
}

impl Need {
    pub fn of(presented: &Presented) -> Self {
        let entries = presented.tidemark.entries();
        Self {
            bound: presented.tokens > 0,
            offset: presented.tidemark.offset(),
            entries: entries.map(|entry| (entry.lane, entry.seq)).collect(),
        }
    }

    /// Adds the heads that a foreign tidemark stands for.
    #[must_use]
    pub fn with_heads(mut self, heads: &LaneSeqs) -> Self {
        self.entries.merge(heads);
        self
    }

    /// For a foreign tidemark whose heads cannot be learnt: nothing is known to be enough.
    #[must_use]
    pub fn unmeetable(self) -> Self {
        Self {
            offset: u64::MAX,
            ..self
        }
    }

    pub fn is_bound(&self) -> bool {
        self.bound
    }

    /// `G` that the replica must have reached.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn entry(&self, lane: Lane) -> Seq {
        self.entries.get(lane)
    }

    pub fn entries(&self) -> impl Iterator<Item = Position> + '_ {
        let entries = self.entries.iter().filter(|(_, seq)| *seq > 0);
        entries.map(|(lane, seq)| Position { lane, seq })
    }

    /// True when a point in time opened at that `G` over those watermarks shows all of it.
    pub fn is_met_by(&self, offset: u64, visible: &LaneSeqs) -> bool {
        !self.bound || (offset >= self.offset && visible.covers(&self.entries))
    }
}
