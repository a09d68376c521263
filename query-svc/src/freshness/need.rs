//! What a read needs: how far the views must be visible before they may answer it.
//!
//! A request without a tidemark needs nothing. A request with a foreign tidemark needs the lane
//! heads at its arrival, because everything that its client wrote or saw is at or below them.

use chassis::tidemark::Presented;
use schemas::lane::{Lane, LaneSeqs, Position, Seq};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Without a tidemark nothing is needed, not even the floors.
    has_tidemark: bool,
    offset: u64,
    entries: LaneSeqs,
}

impl Need {
    pub fn of(presented: &Presented) -> Self {
        let entries = presented.tidemark.entries();
        Self {
            has_tidemark: presented.tokens > 0,
            offset: presented.tidemark.offset(),
            entries: entries.map(|entry| (entry.lane, entry.seq)).collect(),
        }
    }

    /// Adds the lane heads that a foreign tidemark requires.
    #[must_use]
    pub fn with_heads(mut self, heads: &LaneSeqs) -> Self {
        self.entries.merge(heads);
        self
    }

    /// For a foreign tidemark while the lane heads cannot be read: no state is known to suffice.
    #[must_use]
    pub fn unmeetable(self) -> Self {
        Self {
            offset: u64::MAX,
            ..self
        }
    }

    pub fn has_tidemark(&self) -> bool {
        self.has_tidemark
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

    /// True if a point in time shows everything needed. `offset_read` and `visible` are those of
    /// the snapshot from which it was opened, and `visible` had reached the floors.
    pub fn is_met_by(&self, offset_read: u64, visible: &LaneSeqs) -> bool {
        !self.has_tidemark || (offset_read >= self.offset && visible.covers(&self.entries))
    }
}

#[cfg(test)]
mod tests {
    use schemas::id::Epoch;
    use schemas::tidemark::Tidemark;

    use super::*;

    fn need(tokens: usize) -> Need {
        let mut tidemark = Tidemark::new(Epoch(1));
        tidemark.raise_offset(5);
        tidemark.raise(position(3, 9));
        Need::of(&Presented {
            tidemark,
            tokens,
            foreign: Vec::new(),
        })
    }

    fn position(lane: u8, seq: Seq) -> Position {
        let lane = Lane::try_from(lane).unwrap();
        Position { lane, seq }
    }

    fn visible(lane: u8, seq: Seq) -> LaneSeqs {
        let position = position(lane, seq);
        [(position.lane, position.seq)].into_iter().collect()
    }

    #[test]
    fn a_point_in_time_serves_those_who_have_seen_no_more_than_it_shows() {
        assert!(need(1).is_met_by(5, &visible(3, 9)));
        assert!(!need(1).is_met_by(4, &visible(3, 9)), "opened too early");
        assert!(!need(1).is_met_by(5, &visible(3, 8)), "without the entry");
    }

    #[test]
    fn any_point_in_time_serves_those_without_a_tidemark() {
        assert!(need(0).is_met_by(0, &LaneSeqs::default()));
    }

    #[test]
    fn heads_raise_entries_and_never_lower_them() {
        let need = need(1).with_heads(&visible(4, 2));
        let entries: Vec<Position> = need.entries().collect();
        assert_eq!(entries, [position(3, 9), position(4, 2)]);
    }
}
