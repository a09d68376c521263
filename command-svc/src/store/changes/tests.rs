//! Rows as events leave them, as sentences.

use chrono::{DateTime, Utc};
use schemas::event::{PriceChanged, ProductCreated, StockAdjusted};
use schemas::id::ProductId;
use schemas::money::Money;
use uuid::Uuid;

use super::*;
use crate::domain::number::Inventory;
use crate::domain::stock;

const LAMP: ProductId = ProductId(Uuid::from_u128(1));
const CHAIR: ProductId = ProductId(Uuid::from_u128(2));
const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn created(id: ProductId) -> Event {
    let created = ProductCreated {
        product_id: id,
        sku: "L-1".to_owned(),
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(5, "EUR").unwrap(),
        categories: Vec::new(),
        attributes: Default::default(),
        occurred_at: AT,
    };
    created.into()
}

fn priced(id: ProductId, amount: i64) -> Event {
    let changed = PriceChanged {
        product_id: id,
        price: Money::new(amount, "EUR").unwrap(),
        occurred_at: AT,
    };
    changed.into()
}

fn creation(units: i64) -> Changes {
    let opening = stock::opening(LAMP, Inventory::parse(units).unwrap(), AT);
    let events = [created(LAMP)].into_iter().chain(opening);
    Changes::of::<Product>(None, events)
}

/// As it was read, in its third version.
fn stored(id: ProductId) -> Stored<Product> {
    let made = Changes::of::<Product>(None, [created(id)]);
    Stored {
        value: made.get::<Product>(id).unwrap().value.clone(),
        version: 3,
    }
}

fn numbers(changes: &Changes) -> Vec<u64> {
    changes.events().iter().map(|(number, _)| *number).collect()
}

#[test]
fn each_event_is_numbered_in_its_own_stream() {
    let made = creation(3);
    assert_eq!(numbers(&made), [1, 1]);
    assert_eq!(made.get::<Product>(LAMP).unwrap().version, 1);
    let stock = made.get::<Stock>(LAMP).unwrap();
    assert_eq!((stock.version, stock.value.on_hand), (1, 3));
}

#[test]
fn a_stock_without_units_is_made_at_version_0() {
    let made = creation(0);
    assert_eq!(numbers(&made), [1]);
    let stocks = made.created::<Stock>();
    assert_eq!(stocks.len(), 1);
    assert_eq!((stocks[0].version, stocks[0].value.on_hand), (0, 0));
    assert_eq!(stocks[0].value.product_id, LAMP);
}

#[test]
fn events_follow_each_other_on_rows_that_were_read() {
    let mut changes = Changes::default();
    changes.hold(stored(LAMP));
    changes.hold(stored(CHAIR));
    changes.extend([priced(CHAIR, 7), priced(CHAIR, 8)]);
    assert_eq!(numbers(&changes), [4, 5]);
    let changed: Vec<_> = changes.changed::<Product>().collect();
    assert_eq!(changed.len(), 1, "the lamp is as it was");
    assert_eq!((changed[0].after.version, changed[0].is_new()), (5, false));
    assert_eq!(changed[0].before.as_ref(), Some(&stored(CHAIR)));
    assert!(changes.created::<Product>().is_empty());
}

#[test]
fn rows_of_several_tables_change_in_one_unit() {
    let mut changes = Changes::default();
    changes.hold(stored(LAMP));
    for id in [CHAIR, LAMP] {
        let value = Stock::empty(id, AT);
        changes.hold(Stored { value, version: 0 });
    }
    let counted = |product_id, on_hand| {
        Event::from(StockAdjusted {
            product_id,
            delta: on_hand,
            reason: "counted".to_owned(),
            on_hand,
            reserved: 0,
            occurred_at: AT,
        })
    };
    changes.extend([counted(LAMP, 2), priced(LAMP, 7), counted(CHAIR, 1)]);
    assert_eq!(numbers(&changes), [1, 4, 1]);
    let stocks: Vec<_> = changes
        .changed::<Stock>()
        .map(|row| &row.after.value)
        .collect();
    let on_hand = stocks.iter().map(|stock| (stock.product_id, stock.on_hand));
    assert!(on_hand.eq([(CHAIR, 1), (LAMP, 2)]), "{stocks:?}");
    assert_eq!(changes.changed::<Product>().count(), 1);
    assert!(changes.created::<Stock>().is_empty());
}

#[test]
fn rows_keep_the_order_in_which_they_came() {
    let changes = Changes::of::<Product>(None, [created(CHAIR), created(LAMP)]);
    let made = changes.created::<Product>();
    let ids: Vec<_> = made.iter().map(|row| row.value.id).collect();
    assert_eq!(ids, [CHAIR, LAMP]);
}

#[test]
#[should_panic(expected = "makes its row")]
fn an_event_of_a_row_that_nobody_holds_is_a_mistake() {
    Changes::default().append(priced(LAMP, 1));
}
