//! Cursors: where a list goes on. Opaque to clients, sealed, and good for the list that issued
//! them only.
//!
//! A cursor names the state that its page was read from, with the watermarks read before, so that
//! a later page knows whether that state still serves the tidemark that it is asked with.

use schemas::lane::LaneSeqs;
use schemas::tidemark::Keyring;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::parameters::ProductSearch;
use super::text::Tolerance;

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
    pub build: u32,
    pub offset: u64,
    pub visible: LaneSeqs,
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

    fn keyring() -> Keyring {
        "1:00112233445566778899aabbccddeeff".parse().unwrap()
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
            build: 3,
            offset: 17,
            visible: LaneSeqs::default(),
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
    fn a_bent_cursor_does_not_open() {
        let mut sealed = cursor().seal(&keyring());
        sealed.insert(20, 'x');
        for text in [sealed.as_str(), "", "e30", "ünï"] {
            assert_eq!(Cursor::open(&keyring(), text, &search("lamp", 20)), None);
        }
    }
}
