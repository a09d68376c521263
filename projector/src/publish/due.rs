//! Whether a watermark record is due under a key: at once if a changed document became visible, a
//! little later if events changed no document, otherwise with the next heartbeat.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::lane::{Lane, Seq};

use crate::config::{HEARTBEAT_INTERVAL, UNCHANGED_INTERVAL};

/// Why a record is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A lane is visible further than the last record said.
    Moved,
    /// Nothing is new: the record shows that its owner is alive, or replaces a lower one.
    Heartbeat,
}

/// A lane of a key, as it is known before a record is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub lane: Lane,
    /// The seq for the next record.
    pub seq: Seq,
    /// The seq in the topic.
    pub read: Seq,
    /// A document of the lane changed since the last record.
    pub has_changed: bool,
}

/// `published` and `age` are those of this process's last record under the key. `is_read` tells
/// whether that record has been read back from the topic.
pub(super) fn due(
    marks: &[Mark],
    published: &BTreeMap<Lane, Seq>,
    age: Duration,
    is_read: bool,
) -> Option<Due> {
    let said = |lane: Lane| published.get(&lane).copied();
    let moved = marks.iter().any(|mark| said(mark.lane) < Some(mark.seq));
    let has_changed = marks.iter().any(|mark| mark.has_changed);
    if moved && (has_changed || age >= UNCHANGED_INTERVAL) {
        return Some(Due::Moved);
    }
    let is_undercut = || marks.iter().any(|mark| Some(mark.read) < said(mark.lane));
    let beats = age >= HEARTBEAT_INTERVAL || (is_read && is_undercut());
    beats.then_some(Due::Heartbeat)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOW: u64 = 0;
    const SOON: u64 = 200;
    const HEARTBEAT_INTERVAL: u64 = 900;

    /// Our last record said 5.
    #[rstest]
    #[case::a_changed_document_at_once((6, 5, true), NOW, Some(Due::Moved))]
    #[case::events_passed_over_not_at_once((6, 5, false), NOW, None)]
    #[case::events_passed_over_soon((6, 5, false), SOON, Some(Due::Moved))]
    #[case::nothing_new_not_yet((5, 5, false), SOON, None)]
    #[case::nothing_new_with_the_heartbeat((5, 5, false), HEARTBEAT_INTERVAL, Some(Due::Heartbeat))]
    #[case::a_change_that_no_refresh_shows_yet((5, 5, true), NOW, None)]
    #[case::what_another_said_below_ours((5, 4, false), NOW, Some(Due::Heartbeat))]
    #[case::what_another_said_above_ours((7, 7, false), SOON, Some(Due::Moved))]
    fn a_record_is_due(
        #[case] (seq, read, has_changed): (Seq, Seq, bool),
        #[case] age: u64,
        #[case] expected: Option<Due>,
    ) {
        let lane = Lane::try_from(3u8).unwrap();
        let mark = Mark {
            lane,
            seq,
            read,
            has_changed,
        };
        let published = BTreeMap::from([(lane, 5)]);
        let found = due(&[mark], &published, Duration::from_millis(age), true);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_read_may_be_older_than_our_own_last_record() {
        let lane = Lane::try_from(3u8).unwrap();
        let mark = Mark {
            lane,
            seq: 5,
            read: 4,
            has_changed: false,
        };
        let published = BTreeMap::from([(lane, 5)]);
        assert_eq!(due(&[mark], &published, Duration::ZERO, false), None);
    }
}
