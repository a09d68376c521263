//! Names the members in which a row differs from the fold of its events. Pure.

use uuid::Uuid;

use crate::domain::category::Category;
use crate::domain::product::Product;
use crate::domain::stock::Stock;
use crate::domain::text::given_way;
use crate::store::Stored;

macro_rules! compare {
    ($(#[$doc:meta])* $name:ident, $state:ty, [$($member:ident),+ $(,)?]) => {
        $(#[$doc])*
        pub fn $name(
            row: &Stored<$state>,
            folded: Option<&Stored<$state>>,
            mut tell: impl FnMut(String),
        ) {
            let Some(folded) = folded else { return tell("has a row but no events".to_owned()) };
            let mut members = Vec::new();
            if row.version != folded.version {
                members.push("version");
            }
            $(if row.value.$member != folded.value.$member {
                members.push(stringify!($member));
            })+
            if !members.is_empty() {
                tell(format!("the row differs from its events in {}", members.join(", ")));
            }
        }
    };
}

compare!(
    category,
    Category,
    [id, name, parent_id, retired, created_at, updated_at]
);
compare!(
    product,
    Product,
    [
        id,
        sku,
        name,
        description,
        brand,
        price,
        category_ids,
        attributes,
        listed,
        created_at,
        updated_at,
    ]
);
compare!(stock, Stock, [product_id, on_hand, reserved, updated_at]);

/// The key of a text, which the row with this id has to have: `own` is what the text is, and its key.
pub fn key(own: (&str, &str), id: Uuid, stored: Option<&str>, mut tell: impl FnMut(String)) {
    let (text, own) = own;
    match stored {
        Some(stored) if stored == own => {}
        Some(stored) if stored == given_way(own, id) => tell(format!(
            "the {text} counts as that of an older one, which has its key '{own}'"
        )),
        Some(_) => tell(format!("the {text} has the key of another {text}")),
        None => tell(format!(
            "the {text} has no key yet: it gets one when a process starts"
        )),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use schemas::id::ProductId;

    use super::*;

    fn row(on_hand: i64, version: u64) -> Stored<Stock> {
        let empty = Stock::empty(ProductId(Uuid::from_u128(1)), DateTime::UNIX_EPOCH);
        Stored {
            value: Stock { on_hand, ..empty },
            version,
        }
    }

    fn told(row: &Stored<Stock>, folded: Option<&Stored<Stock>>) -> Vec<String> {
        let mut told = Vec::new();
        stock(row, folded, |what| told.push(what));
        told
    }

    #[test]
    fn a_row_that_is_its_fold_has_no_difference() {
        assert!(told(&row(5, 2), Some(&row(5, 2))).is_empty());
    }

    #[test]
    fn all_members_that_differ_are_named() {
        let found = told(&row(5, 2), Some(&row(4, 1)));
        assert_eq!(
            found,
            ["the row differs from its events in version, on_hand"]
        );
        assert_eq!(told(&row(5, 2), None), ["has a row but no events"]);
    }

    #[test]
    fn a_key_that_is_missing_another_or_given_up_is_told() {
        let id = Uuid::from_u128(1);
        let told = |stored: Option<&str>| {
            let mut told = String::new();
            key(("sku", "ab"), id, stored, |what| told = what);
            told
        };
        assert_eq!(told(Some("ab")), "");
        assert!(told(None).contains("has no key yet"));
        assert!(told(Some("x")).contains("the key of another sku"));
        let given_way = given_way("ab", id);
        assert!(told(Some(&given_way)).contains("an older one, which has its key 'ab'"));
    }
}
