//! The events of a lane in the order of subjects, page by page: the next page is read while the
//! present one is folded and written.

use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use tokio_postgres::types::ToSql;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::context::{Interrupted, LaneContext};
use super::rows::{Bound, Rows, read_rows};
use crate::event_table::{TableError, entry_of};
use crate::project::LogEntry;

pub(super) const PAGE: Bound = Bound {
    rows: 1_000,
    bytes: 1024 * 1024,
};

/// The last event that was read. Pages go on after it.
pub(super) type Cursor = (Uuid, Seq);

/// Events with their subjects.
pub(super) type SubjectPage = Rows<(Uuid, LogEntry)>;

/// The pages of a lane up to its head.
#[derive(Debug)]
pub(super) struct SubjectPages {
    lane: LaneContext,
    head: Seq,
    reading: Option<AbortOnDropHandle<Result<SubjectPage, Interrupted>>>,
}

impl SubjectPages {
    /// Begins to read the first page.
    pub(super) fn begin(lane: LaneContext, head: Seq) -> Self {
        let mut pages = Self {
            lane,
            head,
            reading: None,
        };
        pages.read_on((Uuid::nil(), 0));
        pages
    }

    /// The next page; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(Uuid, LogEntry)>>, Interrupted> {
        let Some(reading) = self.reading.take() else {
            return Ok(None);
        };
        let page = reading
            .await
            .unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Interrupted::Reassigned),
            })?;
        if let (true, Some((subject, entry))) = (page.is_cut, page.rows.last()) {
            self.read_on((*subject, entry.seq()));
        }
        Ok(Some(page.rows))
    }

    fn read_on(&mut self, cursor: Cursor) {
        let (lane, head) = (self.lane.clone(), self.head);
        let reading = async move {
            let pool = &lane.fill.pool;
            lane.read(|| read_subjects(pool, lane.lane(), cursor, head))
                .await
        };
        self.reading = Some(AbortOnDropHandle::new(tokio::spawn(reading)));
    }
}

/// Reads one page after the cursor.
pub(super) async fn read_subjects(
    pool: &Pool,
    lane: Lane,
    (subject, seq): Cursor,
    head: Seq,
) -> Result<SubjectPage, TableError> {
    let (lane, seq, head) = (
        i16::from(lane.number()),
        seq.cast_signed(),
        head.cast_signed(),
    );
    let rows = i64::try_from(PAGE.rows).expect("a page is small");
    let parameters: [&(dyn ToSql + Sync); 5] = [&lane, &subject, &seq, &head, &rows];
    let sql = include_str!("sql/subjects.sql");
    read_rows(pool, sql, &parameters, PAGE, |row| {
        Ok((row.try_get("subject")?, entry_of(row)?))
    })
    .await
}
