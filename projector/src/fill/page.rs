//! Pages of several lanes' logs in one read, each lane from its own seq on.

use std::collections::BTreeMap;

use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use tokio_postgres::types::ToSql;

use super::rows::{Bound, read_rows};
use crate::config::{MAX_PAGE_ROWS, MIN_PAGE_ROWS_OF_A_LANE};
use crate::event_table::{TableError, entry_of};
use crate::project::LogEntry;

/// The statement bounds the rows.
const BOUND: Bound = Bound {
    rows: usize::MAX,
    bytes: 8 * 1024 * 1024,
};

/// For each lane the last seq that is known already: it is read once more, to see that the history
/// is still the same. 0 for nothing.
pub type Wanted = BTreeMap<Lane, Seq>;

/// How far a lane was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The last seq that was found, or 0.
    pub last: Seq,
    /// The table had no more.
    pub exhausted: bool,
    /// Every seq was there, the known one included.
    pub dense: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Page {
    pub lanes: BTreeMap<Lane, (Vec<LogEntry>, Extent)>,
}

/// Reads the next rows of these lanes, a bounded number of all together.
pub async fn read_page(pool: &Pool, wanted: &Wanted) -> Result<Page, TableError> {
    if wanted.is_empty() {
        return Ok(Page::default());
    }
    let limit = (MAX_PAGE_ROWS / wanted.len()).max(MIN_PAGE_ROWS_OF_A_LANE);
    let rows_of_a_lane = i64::try_from(limit).expect("a page is small");
    let numbers: Vec<i16> = wanted.keys().map(|lane| i16::from(lane.number())).collect();
    let seqs: Vec<i64> = wanted.values().map(|seq| seq.cast_signed()).collect();
    let parameters: [&(dyn ToSql + Sync); 3] = [&numbers, &seqs, &rows_of_a_lane];
    let sql = include_str!("sql/page.sql");
    let read = read_rows(pool, sql, &parameters, BOUND, entry_of).await?;
    let mut lanes: BTreeMap<Lane, Vec<LogEntry>> = BTreeMap::new();
    for entry in read.rows {
        lanes.entry(entry.position.lane).or_default().push(entry);
    }
    let page = wanted.iter().map(|(lane, known)| {
        let mut entries = lanes.remove(lane).unwrap_or_default();
        entries.sort_by_key(LogEntry::seq);
        let extent = extent_of(&entries, *known, limit, read.is_cut);
        (*lane, (entries, extent))
    });
    Ok(Page {
        lanes: page.collect(),
    })
}

fn extent_of(entries: &[LogEntry], known: Seq, limit: usize, cut: bool) -> Extent {
    let expected = known.max(1)..;
    let dense = entries
        .iter()
        .map(LogEntry::seq)
        .eq(expected.take(entries.len()));
    let known_is_there = known == 0 || cut || !entries.is_empty();
    Extent {
        last: entries.last().map_or(0, LogEntry::seq),
        exhausted: !cut && entries.len() < limit,
        dense: dense && known_is_there,
    }
}

#[cfg(test)]
mod tests {
    use schemas::lane::Position;
    use uuid::Uuid;

    use super::*;
    use crate::project::Content;

    fn extent(seqs: &[Seq], known: Seq, limit: usize) -> Extent {
        let lane = Lane::try_from(0u8).unwrap();
        let entry = |seq: &Seq| LogEntry {
            position: Position { lane, seq: *seq },
            event_id: Uuid::nil(),
            bytes: 0,
            content: Content::AskTable,
        };
        let entries: Vec<_> = seqs.iter().map(entry).collect();
        extent_of(&entries, known, limit, false)
    }

    #[test]
    fn a_lane_is_read_to_its_end_when_less_came_than_was_asked_for() {
        assert_eq!(
            extent(&[4, 5], 4, 3),
            Extent {
                last: 5,
                exhausted: true,
                dense: true
            }
        );
        assert!(!extent(&[4, 5, 6], 4, 3).exhausted);
        assert_eq!(
            extent(&[], 0, 3),
            Extent {
                last: 0,
                exhausted: true,
                dense: true
            }
        );
    }

    #[test]
    fn a_hole_or_a_known_event_that_is_gone_shows() {
        assert!(!extent(&[4, 6], 4, 9).dense);
        assert!(!extent(&[5, 6], 4, 9).dense);
        assert!(!extent(&[], 4, 9).dense);
        assert!(!extent(&[2], 0, 9).dense);
    }
}
