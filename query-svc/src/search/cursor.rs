//! Cursors: where a list goes on. Opaque to clients, sealed, and good for the list that issued
//! them only.
//!
//! A cursor names the state that its page was read from, with the watermarks read before, so that
//! a later page knows whether that state still serves the tidemark that it is asked with.

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
    /// Which list it belongs to.
    list: Uuid,
    pub tolerance: Tolerance,
    /// Sort values of the last hit, ending in its id.
    pub after: Vec<Value>,
    /// None where too many were open.
    pub point: Option<Point>,
}

/// A point in time of an index, and what was visible before it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub id: String,
    /// Of which history. A cursor of an earlier release names none, which serves nothing.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    pub build: u32,
    /// The last change in the watermark topic: issued with its pages.
    pub offset: u64,
    /// How far the topic was read: compared with the tidemark.
    #[serde(default)]
    pub offset_read: u64,
    pub visible: LaneSeqs,
    /// False where a read with a tidemark would have had to wait.
    #[serde(default)]
    pub floors_met: bool,
    /// A cursor of an earlier release does not say, and counts as too old.
    #[serde(default)]
    pub opened_at: Option<DateTime<Utc>>,
}

impl Point {
    /// True when it shows all that this needs, in this history.
    pub fn serves(&self, epoch: Epoch, need: &Need) -> bool {
        let is_bound = need.is_bound();
        self.epoch == Some(epoch)
            && (self.floors_met || !is_bound)
            && need.is_met_by(self.offset_read, &self.visible)
    }

    pub fn is_younger_than(&self, age: Duration, now: DateTime<Utc>) -> bool {
        let opened = self.opened_at.map(|opened| now - opened);
        opened.is_some_and(|opened| opened.to_std().unwrap_or_default() < age)
    }
}

impl Cursor {
    /// After the hit with these sort values, of this search.
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

/// What makes two lists one: the same hits in the same order. Facets and page size may change.
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
    fn a_cursor_is_no_good_for_another_list() {
        let sealed = cursor().seal(&keyring());
        assert_eq!(
            Cursor::open(&keyring(), &sealed, &search("lamps", 20)),
            None
        );
    }

    #[test]
    fn a_point_ends_by_its_age_and_one_without_is_too_old() {
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
    fn a_bent_cursor_does_not_open() {
        let mut sealed = cursor().seal(&keyring());
        sealed.insert(20, 'x');
        for text in [sealed.as_str(), "", "e30", "ünï"] {
            assert_eq!(Cursor::open(&keyring(), text, &search("lamp", 20)), None);
        }
    }
}
