//! Rules of stock, as sentences.

use proptest::prelude::*;
use rstest::rstest;
use schemas::event::{Event, ProductCreated};
use schemas::money::Money;

use super::*;

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn id() -> ProductId {
    ProductId(uuid::Uuid::from_u128(1))
}

fn movement(delta: i64) -> StockCommand {
    StockCommand::Move {
        delta: Delta::parse(delta).unwrap(),
        reason: Reason::parse("counted").unwrap(),
    }
}

fn adjusted(delta: i64, on_hand: i64, reserved: i64) -> Event {
    let reason = "counted".to_owned();
    StockAdjusted {
        product_id: id(),
        delta,
        reason,
        on_hand,
        reserved,
        occurred_at: at(),
    }
    .into()
}

/// The fold of these events, met by this command.
fn given_when(events: &[Event], command: &StockCommand) -> Result<Vec<Event>, StockRefusal> {
    let empty = Stock::empty(id(), at());
    let stock = events.iter().fold(Some(empty), Stock::evolve);
    Stock::decide(stock.as_ref(), command, &(), at())
}

#[test]
fn units_that_come_are_on_hand_afterwards() {
    let given = [adjusted(5, 5, 0)];
    assert_eq!(
        given_when(&given, &movement(3)),
        Ok(vec![adjusted(3, 8, 0)])
    );
}

#[test]
fn the_last_unit_may_go() {
    assert_eq!(
        given_when(&[adjusted(5, 5, 0)], &movement(-5)),
        Ok(vec![adjusted(-5, 0, 0)])
    );
}

#[rstest]
#[case::below_zero(&[], -1, 0)]
#[case::below_what_is_there(&[adjusted(5, 5, 0)], -6, 5)]
#[case::below_what_is_promised(&[adjusted(5, 5, 3)], -3, 2)]
fn more_than_is_available_never_goes(
    #[case] given: &[Event],
    #[case] delta: i64,
    #[case] available: i64,
) {
    let refused = Err(StockRefusal::Insufficient { available });
    assert_eq!(given_when(given, &movement(delta)), refused);
}

#[test]
fn more_than_can_be_counted_never_comes() {
    let given = [adjusted(MAX_UNITS, MAX_UNITS, 0)];
    assert_eq!(
        given_when(&given, &movement(1)),
        Err(StockRefusal::Overflow)
    );
}

#[test]
fn a_stock_is_there_and_empty_from_its_products_creation_on() {
    let created = ProductCreated {
        product_id: id(),
        sku: "L-1".to_owned(),
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(5, "EUR").unwrap(),
        categories: Vec::new(),
        attributes: Default::default(),
        occurred_at: at(),
    };
    let empty = Stock::empty(id(), at());
    assert_eq!(Stock::evolve(None, &created.into()), Some(empty));
}

#[test]
fn a_product_without_units_has_no_event_of_stock() {
    assert_eq!(opening(id(), Inventory::parse(0).unwrap(), at()), None);
}

#[test]
fn the_first_units_say_that_they_are_the_first() {
    let opened = opening(id(), Inventory::parse(7).unwrap(), at()).unwrap();
    let Event::StockAdjusted(event) = &opened else {
        panic!("{opened:?}")
    };
    assert_eq!(
        (event.delta, event.on_hand, event.reason.as_str()),
        (7, 7, "initial stock")
    );
    let stock = Stock::evolve(Some(Stock::empty(id(), at())), &opened).unwrap();
    assert_eq!((stock.on_hand, stock.reserved), (7, 0));
}

#[test]
fn there_is_no_stock_without_a_product() {
    assert_eq!(
        Stock::decide(None, &movement(1), &(), at()),
        Err(StockRefusal::NoSuchProduct)
    );
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_the_stock_covers_its_promises(
        reserved in 0_i64..1_000,
        deltas in prop::collection::vec(
            prop_oneof![-2_000_i64..2_000, -MAX_UNITS..=MAX_UNITS], 0..50
        ),
    ) {
        let mut stock = Stock { on_hand: reserved, reserved, ..Stock::empty(id(), at()) };
        for delta in deltas.into_iter().filter(|delta| *delta != 0) {
            let before = stock.on_hand;
            match Stock::decide(Some(&stock), &movement(delta), &(), at()) {
                Ok(events) => {
                    stock = events.iter().fold(Some(stock), Stock::evolve).unwrap();
                    prop_assert_eq!(stock.on_hand, before + delta);
                }
                Err(StockRefusal::Insufficient { .. } | StockRefusal::Overflow) => {}
                Err(other) => prop_assert!(false, "{:?}", other),
            }
            prop_assert!(stock.on_hand >= stock.reserved && stock.on_hand <= MAX_UNITS);
        }
    }
}
