//! Rows are the fold of their events: the invariant that rows can be rebuilt, checked stream by
//! stream in one snapshot, so it may run while commands are executed.

use std::collections::{BTreeMap, HashMap};

use schemas::event::{Envelope, StreamId};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::domain::Aggregate;
use crate::store::snapshot::{Snapshot, SnapshotError};
use crate::store::{EachTable, SnapshotRow, Stored, Tracked, each_table};

mod compare;
mod print;

pub use print::print;

/// A row that is not what its events make, events without a row, or a lane with a gap.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// A stream id, or `lane-<number>`.
    pub of: String,
    pub what: String,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Rows of each table.
    #[serde(flatten)]
    pub rows: BTreeMap<&'static str, u64>,
    pub differences: u64,
}

/// Compares every row with its events. Each difference is reported as it is found.
pub async fn rows(
    client: &mut Client,
    tell: impl FnMut(Difference),
) -> Result<Verified, SnapshotError> {
    let mut comparison = Comparison {
        snapshot: Snapshot::take(client).await?,
        verified: Verified::default(),
        tell,
    };
    comparison.lanes().await?;
    comparison.orphans().await?;
    each_table(&mut comparison).await?;
    Ok(comparison.verified)
}

struct Comparison<'a, F> {
    snapshot: Snapshot<'a>,
    verified: Verified,
    tell: F,
}

impl<F: FnMut(Difference)> EachTable for Comparison<'_, F> {
    type Error = SnapshotError;

    async fn table<A: Tracked>(&mut self) -> Result<(), SnapshotError> {
        let (mut after, mut count) = (Uuid::nil(), 0);
        loop {
            let page = A::page(&self.snapshot, after).await?;
            let Some(last) = page.last() else {
                self.verified.rows.insert(A::TABLE, count);
                return Ok(());
            };
            after = last.stored.value.id().into();
            count += page.len() as u64;
            self.compare(page).await?;
        }
    }
}

impl<F: FnMut(Difference)> Comparison<'_, F> {
    async fn compare<A: Tracked>(
        &mut self,
        page: Vec<SnapshotRow<A>>,
    ) -> Result<(), SnapshotError> {
        let stream_of = |row: &SnapshotRow<A>| StreamId::new(A::STREAM, row.stored.value.id());
        let streams: Vec<StreamId> = page.iter().map(stream_of).collect();
        let mut events: HashMap<StreamId, Vec<Envelope>> = HashMap::new();
        for envelope in self.snapshot.events(&streams).await? {
            events.entry(envelope.stream_id).or_default().push(envelope);
        }
        for row in page {
            let stream = stream_of(&row);
            let events = events.remove(&stream).unwrap_or_default();
            let folded = fold(&events, row.start);
            let difference = compare::row(&row.stored, folded.as_ref());
            let id = row.stored.value.id().into();
            let key = row.key.and_then(|key| compare::key(&key, id));
            for what in difference.into_iter().chain(key) {
                self.found(stream.to_string(), what);
            }
        }
        Ok(())
    }

    async fn lanes(&mut self) -> Result<(), SnapshotError> {
        for gap in self.snapshot.gaps().await? {
            let what = format!(
                "has head {} but {} events, the last of them {}",
                gap.head, gap.events, gap.last
            );
            self.found(format!("lane-{}", gap.lane), what);
        }
        Ok(())
    }

    async fn orphans(&mut self) -> Result<(), SnapshotError> {
        for orphan in self.snapshot.orphans().await? {
            self.found(orphan, "has events but no row".to_owned());
        }
        Ok(())
    }

    fn found(&mut self, of: String, what: String) {
        self.verified.differences += 1;
        (self.tell)(Difference { of, what });
    }
}

/// None where no event made anything. The version is that of the last event.
fn fold<A: Aggregate>(events: &[Envelope], start: Option<A>) -> Option<Stored<A>> {
    let version = events.last().map_or(0, |envelope| envelope.stream_version);
    let value = events
        .iter()
        .fold(start, |state, envelope| A::evolve(state, &envelope.event))?;
    Some(Stored { value, version })
}
