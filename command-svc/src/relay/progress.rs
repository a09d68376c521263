//! How far each lane is published: what to send next, what came back, what is remembered.
//!
//! Pure. Acks of a lane may come in any order; the position moves over its unbroken prefix alone,
//! so no event is ever skipped by a crash, and an ack that comes twice or late changes nothing.

use std::collections::BTreeSet;

use schemas::lane::{LANES, Lane, Position, Seq};

/// The lanes whose partitions are owned.
#[derive(Debug)]
pub struct Progress {
    lanes: [Option<LaneProgress>; LANES as usize],
    in_flight: usize,
}

#[derive(Debug, Default)]
struct LaneProgress {
    /// Handed to Kafka; all before too.
    sent: Seq,
    /// Settled by Kafka; all before too.
    settled: Seq,
    /// Settled, with something before still in flight.
    early: BTreeSet<Seq>,
    /// As the relay table has it.
    remembered: Seq,
    /// As last seen in the lane table.
    head: Seq,
}

/// The log does not continue where the lane was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lane {} continues with {} after {sent}", found.lane, found.seq)]
pub struct GapInLog {
    found: Position,
    sent: Seq,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            lanes: [const { None }; LANES as usize],
            in_flight: 0,
        }
    }
}

impl Progress {
    /// Takes over a lane, where its last owner remembered to have been.
    pub fn own(&mut self, remembered: Position) {
        let seq = remembered.seq;
        self.lanes[remembered.lane.index()] = Some(LaneProgress {
            sent: seq,
            settled: seq,
            remembered: seq,
            ..Default::default()
        });
    }

    /// Where reading goes on, for each owned lane.
    pub fn sent(&self) -> impl Iterator<Item = Position> {
        self.owned().map(|(lane, progress)| Position {
            lane,
            seq: progress.sent,
        })
    }

    /// Fails where an event is not its lane's next.
    pub fn expect(&self, next: Position) -> Result<(), GapInLog> {
        let lane = self.lanes[next.lane.index()].as_ref();
        let sent = lane.map_or(0, |progress| progress.sent);
        if lane.is_some() && next.seq == sent + 1 {
            return Ok(());
        }
        Err(GapInLog { found: next, sent })
    }

    /// Notes that an event was handed to Kafka. It has to be the lane's next.
    pub fn send(&mut self, next: Position) -> Result<(), GapInLog> {
        self.expect(next)?;
        if let Some(lane) = &mut self.lanes[next.lane.index()] {
            lane.sent = next.seq;
            self.in_flight += 1;
        }
        Ok(())
    }

    /// Notes that Kafka has an event, or will never have it.
    pub fn settle(&mut self, position: Position) {
        let Some(lane) = self.lanes[position.lane.index()].as_mut() else {
            return;
        };
        let awaited = lane.settled < position.seq && position.seq <= lane.sent;
        if !awaited || !lane.early.insert(position.seq) {
            return;
        }
        self.in_flight -= 1;
        while lane.early.first() == Some(&(lane.settled + 1)) {
            lane.early.pop_first();
            lane.settled += 1;
        }
    }

    /// Events that were sent and are not settled.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What moved since it was last remembered.
    pub fn unremembered(&self) -> Vec<Position> {
        self.owned()
            .filter(|(_, progress)| progress.settled > progress.remembered)
            .map(|(lane, progress)| Position {
                lane,
                seq: progress.settled,
            })
            .collect()
    }

    /// Notes that the relay table has these.
    pub fn remember(&mut self, written: &[Position]) {
        for position in written {
            if let Some(lane) = &mut self.lanes[position.lane.index()] {
                lane.remembered = position.seq.max(lane.remembered);
            }
        }
    }

    /// Notes the head of a lane, as PostgreSQL has it.
    pub fn see_head(&mut self, head: Position) {
        if let Some(lane) = &mut self.lanes[head.lane.index()] {
            lane.head = head.seq.max(lane.head);
        }
    }

    /// Committed events of owned lanes that Kafka has not settled, as far as is known.
    pub fn lag(&self) -> u64 {
        self.owned()
            .map(|(_, progress)| progress.head.saturating_sub(progress.settled))
            .sum()
    }

    fn owned(&self) -> impl Iterator<Item = (Lane, &LaneProgress)> {
        Lane::all()
            .zip(&self.lanes)
            .filter_map(|(lane, progress)| Some((lane, progress.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(lane: u8, seq: Seq) -> Position {
        Position {
            lane: Lane::try_from(lane).unwrap(),
            seq,
        }
    }

    fn after_sending(sent: Seq) -> Progress {
        let mut progress = Progress::default();
        progress.own(at(3, 0));
        for seq in 1..=sent {
            progress.send(at(3, seq)).unwrap();
        }
        progress
    }

    #[test]
    fn a_lane_is_remembered_up_to_its_first_event_in_flight() {
        let mut progress = after_sending(4);
        progress.settle(at(3, 1));
        progress.settle(at(3, 3));
        assert_eq!(progress.unremembered(), [at(3, 1)]);
        progress.settle(at(3, 2));
        assert_eq!(progress.unremembered(), [at(3, 3)]);
        assert_eq!(progress.in_flight(), 1);
    }

    #[test]
    fn what_is_remembered_is_not_written_again() {
        let mut progress = after_sending(1);
        progress.settle(at(3, 1));
        progress.remember(&[at(3, 1)]);
        assert!(progress.unremembered().is_empty());
    }

    #[test]
    fn an_event_is_sent_after_the_one_before_it_alone() {
        let mut progress = after_sending(2);
        assert!(progress.send(at(3, 2)).is_err());
        assert!(progress.send(at(3, 4)).is_err());
        assert!(
            progress.send(at(4, 1)).is_err(),
            "a lane that another process owns"
        );
        assert!(progress.send(at(3, 3)).is_ok());
    }

    #[test]
    fn a_late_ack_of_a_former_owner_changes_nothing() {
        let mut progress = Progress::default();
        progress.own(at(3, 10));
        for stale in [at(3, 9), at(3, 10), at(3, 11), at(5, 1)] {
            progress.settle(stale);
        }
        assert_eq!(progress.sent().collect::<Vec<_>>(), [at(3, 10)]);
        assert!(progress.unremembered().is_empty());
    }

    #[test]
    fn lag_counts_what_is_committed_and_not_settled() {
        let mut progress = after_sending(2);
        progress.see_head(at(3, 7));
        progress.see_head(at(4, 7));
        progress.settle(at(3, 1));
        assert_eq!(progress.lag(), 6);
    }

    proptest! {
        #[test]
        fn acks_in_any_order_settle_everything(
            order in Just((1..=50u64).collect::<Vec<_>>()).prop_shuffle()
        ) {
            let mut progress = after_sending(50);
            for (done, seq) in order.iter().enumerate() {
                let settled: BTreeSet<_> = order[..done].iter().copied().collect();
                let prefix = (1..=50).take_while(|seq| settled.contains(seq)).count() as u64;
                let expected = if prefix == 0 { vec![] } else { vec![at(3, prefix)] };
                prop_assert_eq!(progress.unremembered(), expected);
                progress.settle(at(3, *seq));
                progress.settle(at(3, *seq));
            }
            prop_assert_eq!(progress.unremembered(), [at(3, 50)]);
            prop_assert_eq!(progress.in_flight(), 0);
        }
    }
}
