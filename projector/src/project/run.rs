//! Which of the entries that arrived come next in a lane: a dense run, or a gap.

use std::collections::VecDeque;

use schemas::lane::Seq;
use uuid::Uuid;

use super::{Content, LogEntry};
use crate::config::REMEMBERED_EVENTS;

/// The entries of a lane that a build takes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Index of the first entry taken.
    pub from: usize,
    /// Index after the last one.
    pub to: usize,
    /// Something later has arrived that cannot be taken: the table has what is between.
    pub gap: bool,
}

/// The dense run after `applied` in entries that are sorted by seq, each seq once.
pub fn next_run(applied: Seq, entries: &[LogEntry]) -> Run {
    let from = entries.partition_point(|entry| entry.seq() <= applied);
    let dense = entries[from..]
        .iter()
        .zip(applied + 1..)
        .take_while(|(entry, seq)| {
            entry.seq() == *seq && !matches!(entry.content, Content::AskTable)
        });
    let to = from + dense.count();
    Run {
        from,
        to,
        gap: to < entries.len(),
    }
}

/// The ids of the last events seen in a lane: another id at a known position is another history.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    ids: VecDeque<(Seq, Uuid)>,
}

impl Recent {
    /// False when another event stood at this position before.
    pub fn agrees(&mut self, seq: Seq, event_id: Uuid) -> bool {
        let at = self.ids.partition_point(|(known, _)| *known < seq);
        match self.ids.get(at) {
            Some((known, id)) if *known == seq => return *id == event_id,
            _ => self.ids.insert(at, (seq, event_id)),
        }
        if self.ids.len() > REMEMBERED_EVENTS {
            self.ids.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use schemas::lane::{Lane, Position};

    use super::*;

    fn entries(seqs: &[Seq]) -> Vec<LogEntry> {
        let lane = Lane::try_from(0u8).unwrap();
        let entry = |seq: &Seq| LogEntry {
            position: Position { lane, seq: *seq },
            event_id: Uuid::from_u128(u128::from(*seq)),
            bytes: 0,
            content: Content::Unknown(String::new()),
        };
        seqs.iter().map(entry).collect()
    }

    #[rstest]
    #[case::what_comes_next_is_taken(4, &[5, 6, 7], (0, 3, false))]
    #[case::what_is_known_is_dropped(6, &[5, 6, 7], (2, 3, false))]
    #[case::only_known_ones(9, &[5, 6, 7], (3, 3, false))]
    #[case::a_gap_at_once(4, &[6, 7], (0, 0, true))]
    #[case::a_gap_after_some(4, &[5, 7], (0, 1, true))]
    #[case::nothing(4, &[], (0, 0, false))]
    fn a_run_is_dense(
        #[case] applied: Seq,
        #[case] seqs: &[Seq],
        #[case] (from, to, gap): (usize, usize, bool),
    ) {
        assert_eq!(next_run(applied, &entries(seqs)), Run { from, to, gap });
    }

    #[test]
    fn a_record_that_only_the_table_can_explain_is_a_gap() {
        let mut entries = entries(&[5, 6, 7]);
        entries[1].content = Content::AskTable;
        assert_eq!(
            next_run(4, &entries),
            Run {
                from: 0,
                to: 1,
                gap: true
            }
        );
    }

    #[test]
    fn the_same_event_may_come_twice_but_not_another_in_its_place() {
        let mut recent = Recent::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(recent.agrees(5, one));
        assert!(recent.agrees(5, one));
        assert!(recent.agrees(4, other));
        assert!(!recent.agrees(5, other));
    }

    #[test]
    fn only_the_last_ids_are_remembered() {
        let mut recent = Recent::default();
        for seq in 1..=1_000 {
            assert!(recent.agrees(seq, Uuid::from_u128(1)));
        }
        assert_eq!(recent.ids.len(), REMEMBERED_EVENTS);
        assert!(!recent.agrees(1_000, Uuid::from_u128(2)));
    }
}
