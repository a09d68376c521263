//! Names the members in which a row differs from the fold of its events. Pure.

use uuid::Uuid;

use crate::domain::text::given_way;
use crate::store::{Persisted, Stored, TextKey};

/// Where a row is not the fold of its events.
pub fn row<A: Persisted>(row: &Stored<A>, folded: Option<&Stored<A>>) -> Option<String> {
    let Some(folded) = folded else {
        return Some("has a row but no events".to_owned());
    };
    let version = (row.version != folded.version).then_some("version");
    let differing = row.value.differing_members(&folded.value);
    let members: Vec<&str> = version.into_iter().chain(differing).collect();
    let told = || format!("the row differs from its events in {}", members.join(", "));
    (!members.is_empty()).then(told)
}

/// Where the key of a text is not what the row with this id has to have.
pub fn key(key: &TextKey, id: Uuid) -> Option<String> {
    let TextKey { of, own, stored } = key;
    match stored {
        Some(stored) if stored == own => None,
        Some(stored) if *stored == given_way(own, id) => Some(format!(
            "the {of} counts as that of an older one, which has its key '{own}'"
        )),
        Some(_) => Some(format!("the {of} has the key of another {of}")),
        None => Some(format!(
            "the {of} has no key yet: it gets one when a process starts"
        )),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use schemas::id::ProductId;

    use super::*;
    use crate::domain::stock::Stock;

    fn stock(on_hand: i64, version: u64) -> Stored<Stock> {
        let empty = Stock::empty(ProductId(Uuid::from_u128(1)), DateTime::UNIX_EPOCH);
        Stored {
            value: Stock { on_hand, ..empty },
            version,
        }
    }

    #[test]
    fn a_row_that_is_its_fold_has_no_difference() {
        assert_eq!(row(&stock(5, 2), Some(&stock(5, 2))), None);
    }

    #[test]
    fn all_members_that_differ_are_named() {
        let told = row(&stock(5, 2), Some(&stock(4, 1)));
        let both = "the row differs from its events in version, on_hand";
        assert_eq!(told.as_deref(), Some(both));
        let told = row(&stock(5, 2), None);
        assert_eq!(told.as_deref(), Some("has a row but no events"));
    }

    #[test]
    fn a_key_that_is_missing_another_or_given_up_is_told() {
        let id = Uuid::from_u128(1);
        let told = |stored: Option<&str>| {
            let key = TextKey {
                of: "sku",
                own: "ab".to_owned(),
                stored: stored.map(str::to_owned),
            };
            super::key(&key, id).unwrap_or_default()
        };
        assert_eq!(told(Some("ab")), "");
        assert!(told(None).contains("has no key yet"));
        assert!(told(Some("x")).contains("the key of another sku"));
        let given_way = given_way("ab", id);
        assert!(told(Some(&given_way)).contains("an older one, which has its key 'ab'"));
    }
}
