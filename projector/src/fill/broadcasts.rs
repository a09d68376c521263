//! The broadcast events of one lane, held in memory while its subjects are read one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::Pool;
use schemas::event::Envelope;
use schemas::lane::{Lane, Seq};
use schemas::view::{Document, Targets, View};
use tokio_postgres::types::ToSql;

use super::{FillError, borrow, entry_of};
use crate::project::{Content, Fold, Stand, Stopped, Working, fold_broadcast, fold_events};

/// Broadcasts are rare. A lane with more is filled in the order of its log.
const MAX_BROADCASTS: usize = 20_000;
const PAGE: i64 = 1_000;

/// Broadcasts of a lane that concern a view, in order.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    events: Vec<(Arc<Envelope>, Targets)>,
    /// The first one that cannot be read: nothing after it may be folded.
    pub(super) stopped: Option<Stopped>,
    pub(super) too_many: bool,
}

impl Broadcasts {
    /// Reads those of the lane up to `head`.
    pub(super) async fn read(
        pool: &Pool,
        view: View,
        lane: Lane,
        head: Seq,
    ) -> Result<Self, FillError> {
        let mut all = Self::default();
        let mut after: Seq = 0;
        loop {
            let client = borrow(pool).await?;
            let statement = client
                .prepare_cached(include_str!("broadcasts.sql"))
                .await?;
            let (lane, from) = (i16::from(lane.number()), after.cast_signed());
            let parameters: [&(dyn ToSql + Sync); 4] = [&lane, &from, &head.cast_signed(), &PAGE];
            let rows = client.query(&statement, &parameters).await?;
            for row in &rows {
                let entry = entry_of(row)?;
                after = entry.seq();
                match &entry.content {
                    Content::Event(envelope) => all.push(view, envelope),
                    _ => {
                        all.stopped = stop_of(view, &entry);
                        return Ok(all);
                    }
                }
            }
            all.too_many = all.events.len() > MAX_BROADCASTS;
            if rows.len() < usize::try_from(PAGE).unwrap_or(0) || all.too_many {
                return Ok(all);
            }
        }
    }

    pub(super) fn push(&mut self, view: View, envelope: &Arc<Envelope>) {
        match view.targets(&envelope.event) {
            Targets::None => {}
            targets => self.events.push((Arc::clone(envelope), targets)),
        }
    }

    /// Where those begin that come after `seq`.
    pub(super) fn after(&self, seq: Seq) -> usize {
        self.events
            .partition_point(|(envelope, _)| envelope.seq <= seq)
    }

    /// Folds those from `*next` on that come before `seq` into the documents in hand.
    pub(super) fn fold_until(
        &self,
        view: View,
        next: &mut usize,
        seq: Seq,
        working: &mut Working,
    ) -> Result<(), Stopped> {
        while let Some((envelope, targets)) = self.events.get(*next) {
            if envelope.seq >= seq {
                break;
            }
            *next += 1;
            for slot in working.values_mut() {
                if slot
                    .document
                    .as_ref()
                    .is_some_and(|document| concerns(targets, document))
                {
                    fold_broadcast(view, envelope, slot)?;
                }
            }
        }
        Ok(())
    }
}

fn concerns(targets: &Targets, document: &Document) -> bool {
    match targets {
        Targets::None => false,
        Targets::These(ids) => ids.contains(&document.id()),
        Targets::Where { field, id } => document.has(field, *id),
    }
}

fn stop_of(view: View, entry: &crate::project::LogEntry) -> Option<Stopped> {
    let fold: Fold = fold_events(
        view,
        std::iter::once(entry),
        &mut Working::new(),
        &BTreeSet::new(),
    );
    match fold.stand {
        Stand::Stopped(stopped) => Some(stopped),
        Stand::End | Stand::Barrier(_) => None,
    }
}
