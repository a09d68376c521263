//! All events that one subject's documents are made of: its own, and those of its lane that
//! concern documents by a field.

use deadpool_postgres::Pool;
use schemas::lane::{Lane, Seq};
use schemas::view::View;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::read_rows;
use super::subject_pages::PAGE;
use crate::event_table::{TableError, entry_of};
use crate::project::LogEntry;

/// The events of a subject before a seq, in the order of the log, page by page.
#[derive(Debug)]
pub(crate) struct SubjectLog<'a> {
    pool: &'a Pool,
    view: View,
    lane: Lane,
    subject: Uuid,
    /// None after the last page.
    after: Option<Seq>,
    before: Seq,
}

impl<'a> SubjectLog<'a> {
    pub(crate) fn new(
        pool: &'a Pool,
        view: View,
        (lane, subject): (Lane, Uuid),
        before: Seq,
    ) -> Self {
        Self {
            pool,
            view,
            lane,
            subject,
            after: Some(0),
            before,
        }
    }

    /// The next page; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<LogEntry>>, TableError> {
        let Some(after) = self.after else {
            return Ok(None);
        };
        let (lane, subject) = (i16::from(self.lane.number()), self.subject);
        let (after, before) = (after.cast_signed(), self.before.cast_signed());
        let lane_wide = self.view.lane_wide_types();
        let rows = i64::try_from(PAGE.rows).expect("a page is small");
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&lane, &subject, &after, &before, &lane_wide, &rows];
        let sql = include_str!("sql/subject_log.sql");
        let page = read_rows(self.pool, sql, &parameters, PAGE, entry_of).await?;
        let last = page.rows.last().map(LogEntry::seq);
        self.after = last.filter(|_| page.is_cut);
        Ok(Some(page.rows))
    }
}
