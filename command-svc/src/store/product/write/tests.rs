//! What of a product is written, as sentences.

use chrono::DateTime;
use schemas::id::CategoryId;
use schemas::money::Money;

use super::*;

const LIGHTS: CategoryId = CategoryId(Uuid::from_u128(9));

/// In its third version, at 10 euros, in one category.
fn lamp() -> Stored<Product> {
    let value = Product {
        id: ProductId(Uuid::from_u128(1)),
        sku: "L-1".to_owned(),
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(1_000, "EUR").unwrap(),
        category_ids: vec![LIGHTS],
        attributes: Default::default(),
        listed: true,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    };
    Stored { value, version: 3 }
}

/// The lamp after a change of it: how many rows of each kind are written.
fn written(change: impl Fn(&mut Product)) -> [usize; 4] {
    let mut row = Row {
        before: Some(lamp()),
        after: lamp(),
    };
    change(&mut row.after.value);
    row.after.version += 1;
    let rows = [&row];
    let writes = Writes::of(&rows);
    [
        writes.prices.len(),
        writes.details.len(),
        writes.recategorized.len(),
        writes.categorized.len(),
    ]
}

#[test]
fn of_a_product_that_only_gets_another_price_only_the_price_is_written() {
    let price = Money::new(5, "EUR").unwrap();
    assert_eq!(written(|lamp| lamp.price = price), [1, 0, 0, 0]);
    assert_eq!(written(|_| {}), [1, 0, 0, 0], "back at the price before");
}

#[test]
fn of_a_product_with_other_details_the_whole_row_is_written() {
    assert_eq!(written(|lamp| lamp.name.push('s')), [0, 1, 0, 0]);
    assert_eq!(written(|lamp| lamp.description.push('s')), [0, 1, 0, 0]);
    assert_eq!(written(|lamp| lamp.brand.push('s')), [0, 1, 0, 0]);
    assert_eq!(written(|lamp| lamp.listed = false), [0, 1, 0, 0]);
    let colour = ("colour".to_owned(), "red".to_owned());
    let coloured = |lamp: &mut Product| lamp.attributes.extend([colour.clone()]);
    assert_eq!(written(coloured), [0, 1, 0, 0]);
}

#[test]
fn categories_are_written_anew_where_they_differ() {
    assert_eq!(written(|lamp| lamp.category_ids.clear()), [1, 0, 1, 1]);
}

#[test]
fn of_a_new_product_only_its_categories_are_still_to_be_written() {
    let row = Row {
        before: None,
        after: lamp(),
    };
    let rows = [&row];
    let writes = Writes::of(&rows);
    assert_eq!(writes.categorized, [&lamp().value]);
    assert!(writes.prices.is_empty() && writes.details.is_empty());
    assert!(writes.recategorized.is_empty());
}
