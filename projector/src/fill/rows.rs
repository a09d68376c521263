//! Reading rows up to a bound of bytes: in a portal, a few at a time, so that the server sends
//! little more than is taken.

use chassis::clock::Deadline;
use deadpool_postgres::Pool;
use futures::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::config::{FIRST_ROWS, ROWS_GROWTH, STATEMENT_TIMEOUT};
use crate::event_table::{TableError, borrow};

/// What a page may take; the row that reaches the bound is its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Rows<T> {
    pub(super) rows: Vec<T>,
    /// The statement has more rows than the bound let through, or may have.
    pub(super) is_cut: bool,
}

/// Reads the rows of a statement, in their order, up to the bound and at least one.
pub(super) async fn read_rows<T>(
    pool: &Pool,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
    bound: Bound,
    read: impl Fn(&Row) -> Result<T, TableError>,
) -> Result<Rows<T>, TableError> {
    let reading = async {
        let mut client = borrow(pool).await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(sql).await?;
        let portal = transaction.bind(&statement, parameters).await?;
        let mut cutter = Cutter::new(bound);
        let mut taken = Vec::new();
        loop {
            let asked = cutter.ask();
            let limit = i32::try_from(asked).unwrap_or(i32::MAX);
            let rows = transaction.query_portal_raw(&portal, limit).await?;
            let mut rows = std::pin::pin!(rows);
            let mut came = 0;
            while let Some(row) = rows.try_next().await? {
                came += 1;
                taken.push(read(&row)?);
                if cutter.is_full_with(row.raw_size_bytes()) {
                    return Ok(Rows {
                        rows: taken,
                        is_cut: true,
                    });
                }
            }
            if came < asked {
                return Ok(Rows {
                    rows: taken,
                    is_cut: false,
                });
            }
        }
    };
    Deadline::within(STATEMENT_TIMEOUT).run(reading).await?
}

/// Says how many rows to ask for, and when a page is full.
#[derive(Debug)]
struct Cutter {
    bound: Bound,
    rows: usize,
    bytes: usize,
}

impl Cutter {
    fn new(bound: Bound) -> Self {
        let (rows, bytes) = (0, 0);
        Self { bound, rows, bytes }
    }

    /// As many as fit where they are as large as those before.
    fn ask(&self) -> usize {
        let left = self.bound.rows.saturating_sub(self.rows).max(1);
        if self.rows == 0 {
            return left.min(FIRST_ROWS);
        }
        let average = (self.bytes / self.rows).max(1);
        let fitting = self
            .bound
            .bytes
            .saturating_sub(self.bytes)
            .div_ceil(average);
        fitting.clamp(1, left).min(self.rows * ROWS_GROWTH)
    }

    /// Takes a row; true where it is the last of the page.
    fn is_full_with(&mut self, bytes: usize) -> bool {
        self.rows += 1;
        self.bytes += bytes;
        self.rows >= self.bound.rows || self.bytes >= self.bound.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    const BOUND: Bound = Bound {
        rows: 1_000,
        bytes: 1024 * 1024,
    };

    /// Cuts a page from rows of these sizes: what it takes, and what the server sends for it.
    fn page(sizes: &[usize]) -> (Vec<usize>, usize) {
        let mut cutter = Cutter::new(BOUND);
        let (mut taken, mut sent) = (Vec::new(), 0);
        loop {
            let asked = cutter.ask();
            let rows = &sizes[taken.len()..sizes.len().min(taken.len() + asked)];
            sent += rows.iter().sum::<usize>();
            for bytes in rows {
                taken.push(*bytes);
                if cutter.is_full_with(*bytes) {
                    return (taken, sent);
                }
            }
            if rows.len() < asked {
                return (taken, sent);
            }
        }
    }

    #[test]
    fn the_largest_events_come_a_few_at_a_time() {
        let (taken, sent) = page(&[256 * 1024; 1_000]);
        assert_eq!(taken.len(), 4);
        assert_eq!(sent, FIRST_ROWS * 256 * 1024);
    }

    #[test]
    fn small_events_come_by_the_thousand() {
        let (taken, sent) = page(&[500; 3_000]);
        assert_eq!((taken.len(), sent), (1_000, 500_000));
    }

    #[test]
    fn a_row_larger_than_a_page_is_a_page() {
        assert_eq!(page(&[5 * 1024 * 1024, 1]).0.len(), 1);
    }

    proptest! {
        #[test]
        fn a_page_has_a_row_and_at_most_one_beyond_its_bytes(
            sizes in vec(1..300_000_usize, 1..2_000),
        ) {
            let (taken, _) = page(&sizes);
            let before_last = &taken[..taken.len() - 1];
            prop_assert!(before_last.iter().sum::<usize>() < BOUND.bytes);
            prop_assert!(taken.len() <= BOUND.rows);
            let is_full = taken.len() == BOUND.rows || taken.iter().sum::<usize>() >= BOUND.bytes;
            prop_assert!(is_full || taken.len() == sizes.len());
        }
    }
}
