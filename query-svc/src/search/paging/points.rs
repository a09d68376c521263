//! Points in time that first pages share, limited in rate, number and age.
//!
//! For each index at most one is opened a second and 60 stay open: then a new one replaces the
//! oldest. None is used beyond `MAX_POINT_AGE`: using it does not extend its life.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use chassis::clock;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use schemas::view::View;
use tokio::time::Instant;

use crate::config::{MAX_POINT_AGE, MAX_POINTS, POINT_INTERVAL, SHARED_POINT_AGE};
use crate::freshness::Reader;
use crate::search::cursor::Point;

#[derive(Debug, Default)]
pub(super) struct Points {
    by_index: Mutex<BTreeMap<String, IndexPoints>>,
    /// Locked while a point is opened, so that reads that need one wait for the same point.
    opening: tokio::sync::Mutex<()>,
}

/// The points of one index, oldest first.
#[derive(Debug, Default)]
struct IndexPoints {
    points: VecDeque<Arc<Point>>,
    last_opening: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Share(Arc<Point>),
    /// Open one, or wait for the one that is being opened.
    Open,
    /// Read the index itself.
    None,
}

/// What a choice depends on besides the points.
struct Conditions {
    now: DateTime<Utc>,
    instant: Instant,
    is_opening: bool,
}

impl Points {
    /// The newest point that covers the read; none if it should read the index itself.
    pub(super) async fn share(&self, reader: &Reader<'_>) -> Option<Arc<Point>> {
        let is_opening = self.opening.try_lock().is_err();
        match self.choose(reader, is_opening) {
            Choice::Share(point) => return Some(point),
            Choice::None => return None,
            Choice::Open => {}
        }
        let _turn = self.opening.lock().await;
        match self.choose(reader, false) {
            Choice::Share(point) => Some(point),
            Choice::None => None,
            Choice::Open => self.open(reader).await,
        }
    }

    /// Removes a point that could not be read.
    pub(super) fn forget(&self, reader: &Reader<'_>, id: &str) {
        self.with_index(reader, |points| {
            points.points.retain(|point| point.id != id)
        });
    }

    fn choose(&self, reader: &Reader<'_>, is_opening: bool) -> Choice {
        let conditions = Conditions {
            now: clock::now(),
            instant: clock::instant(),
            is_opening,
        };
        let covers = |point: &Point| point.serves(reader.epoch(), reader.need());
        self.with_index(reader, |points| {
            points.choose(&conditions, reader.offset(), covers)
        })
    }

    /// The point is labelled with the snapshot from before it was opened.
    async fn open(&self, reader: &Reader<'_>) -> Option<Arc<Point>> {
        let (now, instant) = (clock::now(), clock::instant());
        let surplus = self.begin(reader, now, instant);
        let (opened, ()) = tokio::join!(
            reader.open_shared_point(View::Products, MAX_POINT_AGE),
            close_all(reader, &surplus)
        );
        let point = Arc::new(Point {
            id: opened.ok()?,
            epoch: Some(reader.epoch()),
            build: reader.build_number(View::Products),
            offset: reader.offset(),
            offset_read: reader.offset_read(),
            visible: reader.visible(View::Products).clone(),
            floors_met: reader.floors_met(View::Products),
            opened_at: Some(now),
        });
        self.with_index(reader, |points| {
            points.points.push_back(Arc::clone(&point));
        });
        Some(point)
    }

    /// Records the opening, whether or not it succeeds, and returns the points that it replaces.
    fn begin(&self, reader: &Reader<'_>, now: DateTime<Utc>, instant: Instant) -> Vec<Arc<Point>> {
        self.with_index(reader, |points| points.last_opening = Some(instant));
        let mut by_index = self.lock();
        let surplus = by_index
            .values_mut()
            .flat_map(|points| points.make_room(now))
            .collect();
        by_index.retain(|index, points| {
            !points.points.is_empty() || index == reader.index(View::Products)
        });
        surplus
    }

    fn with_index<T>(&self, reader: &Reader<'_>, change: impl FnOnce(&mut IndexPoints) -> T) -> T {
        let index = reader.index(View::Products).to_owned();
        change(self.lock().entry(index).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, IndexPoints>> {
        self.by_index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IndexPoints {
    fn choose(
        &self,
        conditions: &Conditions,
        offset: u64,
        covers: impl Fn(&Point) -> bool,
    ) -> Choice {
        let mut newest_first = self.points.iter().rev();
        let is_shared = |point: &Point| point.is_younger_than(SHARED_POINT_AGE, conditions.now);
        let newest = newest_first.find(|point| is_shared(point) && covers(point));
        let since = self.last_opening.map(|last| conditions.instant - last);
        let is_due = since.is_none_or(|since| since >= POINT_INTERVAL);
        match newest {
            Some(point) if point.offset == offset || !is_due || conditions.is_opening => {
                Choice::Share(Arc::clone(point))
            }
            None if !is_due && !conditions.is_opening => Choice::None,
            _ => Choice::Open,
        }
    }

    /// Removes points that are too old, and the oldest if there is no room for another.
    fn make_room(&mut self, now: DateTime<Utc>) -> Vec<Arc<Point>> {
        let old = self.points.iter();
        let old = old
            .filter(|point| !point.is_younger_than(MAX_POINT_AGE, now))
            .count();
        let surplus = (self.points.len() + 1).saturating_sub(MAX_POINTS);
        self.points.drain(..old.max(surplus)).collect()
    }
}

async fn close_all(reader: &Reader<'_>, points: &[Arc<Point>]) {
    join_all(points.iter().map(|point| reader.close_point(&point.id))).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;
    use schemas::lane::LaneSeqs;

    use super::*;

    const OFFSET: u64 = 7;

    fn point(offset: u64, age: i64) -> Arc<Point> {
        Arc::new(Point {
            id: format!("point {offset} {age}"),
            epoch: None,
            build: 1,
            offset,
            offset_read: offset,
            visible: LaneSeqs::default(),
            floors_met: true,
            opened_at: Some(clock::now() - TimeDelta::seconds(age)),
        })
    }

    fn index_points(points: &[&Arc<Point>], since_opening: u64) -> IndexPoints {
        let since_opening = Duration::from_secs(since_opening);
        IndexPoints {
            points: points.iter().map(|point| Arc::clone(point)).collect(),
            last_opening: clock::instant().checked_sub(since_opening),
        }
    }

    fn choose(points: &IndexPoints, is_opening: bool, least: u64) -> Choice {
        let conditions = Conditions {
            now: clock::now(),
            instant: clock::instant(),
            is_opening,
        };
        points.choose(&conditions, OFFSET, |point| point.offset >= least)
    }

    #[test]
    fn a_point_is_shared_while_nothing_changes_and_for_a_second_after_a_change() {
        let (current, older) = (point(OFFSET, 9), point(OFFSET - 1, 9));
        assert_eq!(
            choose(&index_points(&[&older, &current], 9), false, 0),
            Choice::Share(current)
        );
        assert_eq!(
            choose(&index_points(&[&older], 0), false, 0),
            Choice::Share(older.clone())
        );
        assert_eq!(choose(&index_points(&[&older], 1), false, 0), Choice::Open);
        assert_eq!(
            choose(&index_points(&[&older], 1), true, 0),
            Choice::Share(older)
        );
    }

    #[test]
    fn a_read_that_no_point_covers_opens_one_or_reads_the_index() {
        let older = point(OFFSET - 1, 9);
        assert_eq!(
            choose(&index_points(&[&older], 1), false, OFFSET),
            Choice::Open
        );
        assert_eq!(
            choose(&index_points(&[&older], 0), false, OFFSET),
            Choice::None
        );
        assert_eq!(
            choose(&index_points(&[&older], 0), true, OFFSET),
            Choice::Open,
            "waits for it"
        );
    }

    #[test]
    fn first_pages_stop_sharing_a_point_before_it_expires() {
        assert_eq!(
            choose(&index_points(&[&point(OFFSET, 61)], 61), false, 0),
            Choice::Open
        );
    }

    #[test]
    fn sixty_stay_open_and_none_beyond_its_age() {
        let points: Vec<_> = (0..60).rev().map(|age| point(OFFSET, age)).collect();
        let mut full = index_points(&points.iter().collect::<Vec<_>>(), 1);
        assert_eq!(full.make_room(clock::now()), [Arc::clone(&points[0])]);
        assert_eq!(full.make_room(clock::now()), []);
        let (old, young) = (point(OFFSET, 301), point(OFFSET, 299));
        assert_eq!(
            index_points(&[&old, &young], 1).make_room(clock::now()),
            [old]
        );
    }
}
