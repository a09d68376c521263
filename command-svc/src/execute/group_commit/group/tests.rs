//! Changes of one group, as sentences.

use std::time::Duration;

use chassis::clock::Deadline;
use chrono::{DateTime, Utc};
use rstest::rstest;
use schemas::id::{CategoryId, ProductId};
use schemas::money::Money;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::domain::product::{Categories, ChangeProduct, Product, ProductCommand};
use crate::domain::text::Name;
use crate::execute::{Context, Expected};
use crate::store::{Persisted, Stored};

const LAMP: ProductId = ProductId(Uuid::from_u128(1));
const CHAIR: ProductId = ProductId(Uuid::from_u128(2));
const LIGHTS: CategoryId = CategoryId(Uuid::from_u128(9));

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn euros(amount: i64) -> Money {
    Money::new(amount, "EUR").unwrap()
}

/// In its third version, at 10 euros.
fn stored(id: ProductId) -> Stored<Product> {
    let value = Product {
        id,
        sku: id.0.to_string(),
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: String::new(),
        price: euros(1_000),
        category_ids: Vec::new(),
        attributes: Default::default(),
        listed: true,
        created_at: at(),
        updated_at: at(),
    };
    Stored { value, version: 3 }
}

/// Of both products; the lamp is in a category.
fn group() -> Group {
    let mut lamp = stored(LAMP);
    lamp.value.category_ids.push(LIGHTS);
    let mut held = Changes::default();
    held.hold(lamp);
    held.hold(stored(CHAIR));
    Group::new(held)
}

fn member(id: ProductId, change: ProductCommand) -> (Member, oneshot::Receiver<Verdict>) {
    let (verdict, told) = oneshot::channel();
    let context = Context {
        meta: Meta {
            request_id: Some(format!("{change:?}")),
            ..Meta::default()
        },
        path: "/".to_owned(),
        expected: Expected::Nothing,
        key: None,
        deadline: Deadline::within(Duration::from_secs(5)),
    };
    let command = change;
    let member = Member {
        rider: Box::new(RiderOf::<Product> { id, command }),
        context,
        at: at(),
        verdict,
    };
    (member, told)
}

fn price(amount: i64) -> ProductCommand {
    ProductCommand::ChangePrice(euros(amount))
}

fn name(name: &str) -> ProductCommand {
    ProductCommand::Change(Box::new(ChangeProduct {
        name: Some(Name::parse(name).unwrap()),
        ..ChangeProduct::default()
    }))
}

/// Of the change at this place, in the order in which they were taken in.
fn answered(group: &Group, place: usize) -> (schemas::rest::command::Product, u64) {
    let Answer::Current(current) = &group.riders[place].answer else {
        panic!("{:?}", group.riders[place]);
    };
    let product = serde_json::from_slice(&current.body).unwrap();
    (product, current.version)
}

#[tokio::test]
async fn changes_of_one_product_follow_each_other() {
    let mut group = group();
    for change in [price(1), name("Desk lamp"), price(2)] {
        assert!(group.take_in(member(LAMP, change).0).is_none());
    }
    let (first, version) = answered(&group, 0);
    assert_eq!(
        (first.price.amount, first.name.as_str(), version),
        (1, "Lamp", 4)
    );
    let (last, version) = answered(&group, 2);
    assert_eq!(
        (last.price.amount, last.name.as_str(), version),
        (2, "Desk lamp", 6)
    );
    assert_eq!(last.category_ids, [LIGHTS]);
    let rows: Vec<_> = group.changes().changed::<Product>().collect();
    assert_eq!((rows.len(), rows[0].after.version), (1, 6));
    let lamp = &rows[0].after.value;
    assert_eq!((lamp.price, lamp.name.as_str()), (euros(2), "Desk lamp"));
}

#[tokio::test]
async fn every_event_has_the_meta_of_its_own_request() {
    let mut group = group();
    for (id, change) in [(CHAIR, price(1)), (LAMP, name("x")), (CHAIR, price(2))] {
        assert!(group.take_in(member(id, change).0).is_none());
    }
    let events: Vec<_> = group
        .riders
        .iter()
        .map(|rider| rider.elements.clone())
        .collect();
    assert_eq!(events, [0..1, 1..2, 2..3]);
    let requests: Vec<_> = group
        .metas()
        .into_iter()
        .map(|meta| meta.request_id.clone().unwrap())
        .collect();
    let changes = [price(1), name("x"), price(2)].map(|change| format!("{change:?}"));
    assert_eq!(requests, changes);
}

#[rstest]
#[case::already_true(LAMP, price(1_000))]
#[case::held_by_somebody_else(ProductId(Uuid::from_u128(7)), price(1))]
#[tokio::test]
async fn what_has_to_go_alone_leaves_no_trace(
    #[case] id: ProductId,
    #[case] change: ProductCommand,
) {
    let mut group = group();
    assert!(group.take_in(member(id, change).0).is_some());
    assert!(group.riders().is_empty() && group.changes().is_empty());
    assert!(group.take_in(member(LAMP, price(5)).0).is_none());
    assert_eq!(answered(&group, 0).1, 4);
}

#[test]
fn what_takes_a_product_out_of_its_categories_goes_alone() {
    let uncategorized = ProductCommand::Change(Box::new(ChangeProduct {
        categories: Some(Categories::default()),
        ..ChangeProduct::default()
    }));
    for (change, rides) in [(uncategorized, false), (name("x"), true), (price(1), true)] {
        assert_eq!(Product::may_share(&change), rides, "{change:?}");
    }
}

#[tokio::test]
async fn a_version_is_compared_with_what_the_group_has_made_of_it() {
    let mut group = group();
    assert!(group.take_in(member(LAMP, price(1)).0).is_none());
    let (mut stale, _told) = member(LAMP, price(2));
    stale.context.expected = Expected::Versions(vec![3]);
    assert!(group.take_in(stale).is_some());
    let (mut current, _told) = member(LAMP, price(2));
    current.context.expected = Expected::Versions(vec![4]);
    assert!(group.take_in(current).is_none());
}

#[tokio::test]
async fn each_is_told_the_positions_of_its_own_events() {
    let mut group = group();
    let (first, told_first) = member(CHAIR, price(1));
    let (second, told_second) = member(LAMP, price(1));
    assert!(group.take_in(first).is_none());
    assert!(group.take_in(second).is_none());
    let positions = [CHAIR, LAMP].map(|id| Position {
        lane: schemas::lane::Lane::of(id),
        seq: 7,
    });
    group.deliver(&positions);
    for (told, position) in [(told_first, positions[0]), (told_second, positions[1])] {
        let Verdict::Committed(outcome) = told.await.unwrap() else {
            panic!("it was committed");
        };
        assert_eq!(outcome.positions, [position]);
    }
}
