//! Cursors: where a list continues. They are sealed, opaque to clients, and valid only for the list
//! that issued them.
//!
//! A cursor names the point in time that its page was read from and what it showed, so that a later
//! page can tell whether that state still covers the presented tidemark.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::id::Epoch;
use schemas::lane::LaneSeqs;
use schemas::tidemark::Keyring;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::parameters::ProductSearch;
use super::text::Tolerance;
use crate::freshness::Need;

const PURPOSE: &str = "cursor of products";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// The list that it belongs to.
    list: Uuid,
    pub tolerance: Tolerance,
    /// Sort values of the last hit, ending in its id.
    pub after: Vec<Value>,
    /// None where the page was read from the index itself.
    pub point: Option<Point>,
}

/// A point in time of an index, and what was visible before it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub id: String,
    /// None in a cursor of an earlier release, which then serves no read.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    pub build: u32,
    /// `G` as issued with its pages.
    pub offset: u64,
    /// What the `G` of a tidemark is compared with.
    #[serde(default)]
    pub offset_read: u64,
    pub visible: LaneSeqs,
    /// True if the watermarks had reached the floors on every lane.
    #[serde(default)]
    pub floors_met: bool,
    /// None in a cursor of an earlier release, which then counts as too old.
    #[serde(default)]
    pub opened_at: Option<DateTime<Utc>>,
}

impl Point {
    /// True if it shows everything needed, in this epoch.
    pub fn serves(&self, epoch: Epoch, need: &Need) -> bool {
        let has_tidemark = need.has_tidemark();
        self.epoch == Some(epoch)
            && (self.floors_met || !has_tidemark)
            && need.is_met_by(self.offset_read, &self.visible)
    }

    pub fn is_younger_than(&self, age: Duration, now: DateTime<Utc>) -> bool {
        let opened = self.opened_at.map(|opened| now - opened);
        opened.is_some_and(|opened| opened.to_std().unwrap_or_default() < age)
    }
}

impl Cursor {
    /// Continues the search after the hit with these sort values.
    pub fn new(
        search: &ProductSearch,
        tolerance: Tolerance,
        after: &[Value],
        point: Option<Point>,
    ) -> Self {
        Self {
            list: list(search),
            tolerance,
            after: after.to_vec(),
            point,
        }
    }

    pub fn seal(&self, keyring: &Keyring) -> String {
        let bytes = serde_json::to_vec(self).expect("a cursor is plain data");
        keyring.seal(PURPOSE, &bytes)
    }

    /// None for anything but a cursor that was issued for this search.
    pub fn open(keyring: &Keyring, text: &str, search: &ProductSearch) -> Option<Self> {
        let bytes = keyring.unseal(PURPOSE, text)?;
        let cursor: Self = serde_json::from_slice(&bytes).ok()?;
        (cursor.list == list(search)).then_some(cursor)
    }
}

/// The identity of a list: its hits and their order. Facets and page size do not matter.
fn list(search: &ProductSearch) -> Uuid {
    let what = (&search.text, &search.filters, search.sort);
    let bytes = serde_json::to_vec(&what).expect("parameters are plain data");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::MAX_POINT_AGE;

    fn keyring() -> Keyring {
        "1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
            .parse()
            .unwrap()
    }

    fn search(text: &str, limit: usize) -> ProductSearch {
        ProductSearch {
            text: Some(text.to_owned()),
            limit,
            ..ProductSearch::default()
        }
    }

    fn cursor() -> Cursor {
        let point = Point {
            id: "pit".to_owned(),
            epoch: Some(Epoch(1)),
            build: 3,
            offset: 17,
            offset_read: 19,
            visible: LaneSeqs::default(),
            floors_met: true,
            opened_at: Some(DateTime::UNIX_EPOCH),
        };
        let after = [json!(1.025_781_6), json!("id")];
        Cursor::new(&search("lamp", 20), Tolerance::Fuzzy, &after, Some(point))
    }

    #[test]
    fn a_cursor_opens_for_its_list_at_any_page_size() {
        let sealed = cursor().seal(&keyring());
        let opened = Cursor::open(&keyring(), &sealed, &search("lamp", 50));
        assert_eq!(opened, Some(cursor()));
    }

    #[test]
    fn a_cursor_does_not_open_for_another_list() {
        let sealed = cursor().seal(&keyring());
        assert_eq!(
            Cursor::open(&keyring(), &sealed, &search("lamps", 20)),
            None
        );
    }

    #[test]
    fn a_point_expires_by_age_and_one_without_a_time_has_expired() {
        let mut point = cursor().point.unwrap();
        let opened = point.opened_at.unwrap();
        assert!(point.is_younger_than(
            MAX_POINT_AGE,
            opened + (MAX_POINT_AGE - Duration::from_millis(1))
        ));
        assert!(!point.is_younger_than(MAX_POINT_AGE, opened + MAX_POINT_AGE));
        point.opened_at = None;
        assert!(!point.is_younger_than(MAX_POINT_AGE, opened));
    }

    #[test]
    fn a_changed_cursor_does_not_open() {
        let mut sealed = cursor().seal(&keyring());
        sealed.insert(20, 'x');
        for text in [sealed.as_str(), "", "e30", "ünï"] {
            assert_eq!(Cursor::open(&keyring(), text, &search("lamp", 20)), None);
        }
    }
}
