//! Watches the lane heads of PostgreSQL, twice a second. They tell idle lanes from lanes that are
//! behind, and show when history was lost.

use std::collections::{BTreeMap, BTreeSet};

use chassis::clock::{self, Deadline};
use chassis::health::Probe;
use chassis::postgres;
use chassis::telemetry::Chain;
use chassis::watermark_tail::WatermarkTail;
use chrono::{DateTime, Utc};
use deadpool_postgres::Pool;
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneSeqs, Seq};
use schemas::watermark::WatermarkState;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Heads, OfView};
use crate::config::{HEADS_INTERVAL, RECORDED_AT_TIMEOUT};
use crate::ending::Ending;
use crate::event_table::TableError;
use crate::heads::read_heads;
use crate::metrics;

mod report;

pub use report::lag_report;

/// Keeps the board's lane heads current.
#[derive(Debug)]
pub struct HeadWatcher {
    pub pool: Pool,
    pub board: Board,
    pub tail: WatermarkTail,
    pub epoch: Epoch,
    pub probe: Probe,
}

impl HeadWatcher {
    /// Runs until `shutdown`. An error means that the history has changed.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Ending> {
        let mut ticks = tokio::time::interval(HEADS_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match shutdown.run_until_cancelled(self.look()).await {
                None => break,
                Some(Ok(heads)) => {
                    self.probe.up();
                    self.board.set_heads(heads?);
                }
                Some(Err(error)) => {
                    self.probe.down(error.outline());
                    tracing::debug!(error = %Chain(&error), "failed to read the lane heads");
                }
            }
            // Also while PostgreSQL is down: waiting events grow older.
            if self.tail.read(WatermarkState::is_complete) {
                metrics::lag(&lag_report(&self.board, &self.tail));
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<Result<Heads, Ending>, TableError> {
        // Read before the heads, which must therefore reach it.
        let applied = self.board.applied();
        // And so is the clock: the heads are no newer than they claim to be.
        let asked_at = clock::now();
        let (epoch, seqs) = read_heads(&self.pool).await?;
        if epoch != self.epoch {
            return Ok(Err(Ending::EpochChanged {
                from: self.epoch,
                to: epoch,
            }));
        }
        let ahead = applied.iter().find(|(lane, seq)| *seq > seqs.get(*lane));
        if let Some((lane, seq)) = ahead {
            let head = seqs.get(lane);
            return Ok(Err(Ending::beyond_head(lane, seq, head)));
        }
        let waiting_since = self.waiting_since(&seqs).await?;
        Ok(Ok(Heads {
            seqs,
            at: Some(asked_at),
            waiting_since,
        }))
    }

    /// For each lane, when the first event was recorded that a build does not show.
    async fn waiting_since(
        &self,
        heads: &LaneSeqs,
    ) -> Result<BTreeMap<OfView, BTreeMap<Lane, DateTime<Utc>>>, TableError> {
        let hidden = report::first_hidden(&self.tail, heads);
        let wanted: BTreeSet<(Lane, Seq)> = hidden.values().flatten().copied().collect();
        let recorded = self.recorded_at(&wanted).await?;
        let since = hidden.into_iter().map(|(build, places)| {
            let places = places.into_iter();
            let since = places.filter_map(|place| Some((place.0, *recorded.get(&place)?)));
            (build, since.collect())
        });
        Ok(since.collect())
    }

    async fn recorded_at(
        &self,
        places: &BTreeSet<(Lane, Seq)>,
    ) -> Result<BTreeMap<(Lane, Seq), DateTime<Utc>>, TableError> {
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (lanes, seqs): (Vec<i16>, Vec<i64>) = places
            .iter()
            .map(|(lane, seq)| (i16::from(lane.number()), seq.cast_signed()))
            .unzip();
        let deadline = Deadline::within(RECORDED_AT_TIMEOUT);
        let read = async {
            let client = postgres::get_within(&self.pool, deadline).await?;
            let statement = client
                .prepare_cached(include_str!("lag/waiting_since.sql"))
                .await?;
            let rows = client.query(&statement, &[&lanes, &seqs]).await?;
            let mut recorded = BTreeMap::new();
            for row in &rows {
                let lane = Lane::try_from(row.try_get::<_, i16>("lane")?)
                    .map_err(|error| TableError::Place(error.into()))?;
                let seq = row.try_get::<_, i64>("seq")?.cast_unsigned();
                recorded.insert((lane, seq), row.try_get("recorded_at")?);
            }
            Ok(recorded)
        };
        deadline.run(read).await?
    }
}
