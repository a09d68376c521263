//! Rules of a product, as sentences.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use schemas::event::CategoryRef;
use uuid::Uuid;

use super::*;
use crate::domain::category::Place;

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn later() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_001, 0).unwrap()
}

fn id() -> ProductId {
    ProductId(Uuid::from_u128(1))
}

fn category(number: u128) -> CategoryId {
    CategoryId(Uuid::from_u128(number))
}

fn euros(amount: i64) -> Money {
    Money::new(amount, "EUR").unwrap()
}

fn categories(numbers: &[u128]) -> Categories {
    Categories::parse(numbers.iter().copied().map(category)).unwrap()
}

/// Three living roots, 1 to 3, and a retired one, 4.
fn places() -> Places {
    (1..=4)
        .map(|number| {
            let step = CategoryRef {
                id: category(number),
                name: format!("root {number}"),
            };
            (
                category(number),
                Place {
                    path: vec![step],
                    retired: number == 4,
                },
            )
        })
        .collect()
}

fn creation(named: &[u128]) -> CreateProduct {
    CreateProduct {
        id: id(),
        sku: Sku::parse("L-1").unwrap(),
        name: Name::parse("Lamp").unwrap(),
        description: Description::parse("Shines.").unwrap(),
        brand: Brand::parse("Lumo").unwrap(),
        price: euros(1_999),
        categories: categories(named),
        attributes: Attributes::parse(BTreeMap::from([("colour".into(), "red".into())])).unwrap(),
        inventory: Inventory::parse(0).unwrap(),
    }
}

fn create(named: &[u128]) -> ProductCommand {
    ProductCommand::Create(Box::new(creation(named)))
}

fn change(wish: ChangeProduct) -> ProductCommand {
    ProductCommand::Change(Box::new(wish))
}

/// A product in categories 1 and 2, after these commands; then what the last one comes to.
fn given_when(
    before: &[ProductCommand],
    command: &ProductCommand,
) -> Result<Vec<Event>, ProductRefusal> {
    Product::decide(Some(&product_after(before)), command, &places(), later())
}

fn product_after(commands: &[ProductCommand]) -> Product {
    let creation = [create(&[1, 2])];
    let mut product = None;
    for command in creation.iter().chain(commands) {
        let events = Product::decide(product.as_ref(), command, &places(), at()).unwrap();
        product = events.iter().fold(product, Product::evolve);
    }
    product.unwrap()
}

#[test]
fn a_new_product_is_listed_with_the_paths_of_its_categories() {
    let events = Product::decide(None, &create(&[2, 1]), &places(), at()).unwrap();
    let [Event::ProductCreated(created)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(created.categories[0][0].name, "root 2");
    let product = Product::evolve(None, &events[0]).unwrap();
    assert_eq!(product.category_ids, [category(2), category(1)]);
    assert!(product.listed);
}

#[test]
fn a_creation_with_units_opens_the_stock() {
    let inventory = Inventory::parse(3).unwrap();
    let wish = CreateProduct {
        inventory,
        ..creation(&[1])
    };
    let create = ProductCommand::Create(Box::new(wish));
    let events = Product::decide(None, &create, &places(), at()).unwrap();
    let [Event::ProductCreated(_), opening] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        Some(opening),
        stock::opening(id(), inventory, at()).as_ref()
    );
}

#[rstest]
#[case::unknown(5, PlaceRefusal::Unknown(category(5)).into())]
#[case::retired(4, PlaceRefusal::Retired(category(4)).into())]
fn a_category_has_to_live(#[case] number: u128, #[case] refusal: ProductRefusal) {
    assert_eq!(
        Product::decide(None, &create(&[number]), &places(), at()),
        Err(refusal.clone())
    );
    let wish = ChangeProduct {
        categories: Some(categories(&[number])),
        ..ChangeProduct::default()
    };
    assert_eq!(given_when(&[], &change(wish)), Err(refusal));
}

#[test]
fn a_new_price_is_a_fact_and_the_same_price_is_none() {
    let events = given_when(&[], &ProductCommand::ChangePrice(euros(5))).unwrap();
    assert!(matches!(&events[..], [Event::PriceChanged(event)] if event.price == euros(5)));
    assert_eq!(
        given_when(&[], &ProductCommand::ChangePrice(euros(1_999))),
        Ok(vec![])
    );
    let dollars = Money::new(1_999, "USD").unwrap();
    assert_eq!(
        given_when(&[], &ProductCommand::ChangePrice(dollars))
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn listing_and_unlisting_are_facts_once() {
    let unlist = ProductCommand::ChangeListing(false);
    let list = ProductCommand::ChangeListing(true);
    assert_eq!(given_when(&[], &list), Ok(vec![]));
    let events = given_when(&[], &unlist).unwrap();
    assert!(matches!(events[..], [Event::ProductUnlisted(_)]));
    let before = [unlist.clone()];
    assert_eq!(given_when(&before, &unlist), Ok(vec![]));
    assert!(matches!(
        given_when(&before, &list).unwrap()[..],
        [Event::ProductListed(_)]
    ));
}

#[test]
fn a_patch_leaves_what_it_does_not_name() {
    let wish = ChangeProduct {
        brand: Some(Brand::parse("").unwrap()),
        ..Default::default()
    };
    let events = given_when(&[], &change(wish)).unwrap();
    let [Event::ProductDetailsChanged(changed)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (changed.brand.as_str(), changed.name.as_str()),
        ("", "Lamp")
    );
    assert_eq!(changed.attributes["colour"], "red");
}

#[test]
fn details_and_categories_in_one_patch_are_two_facts() {
    let wish = ChangeProduct {
        name: Some(Name::parse("Light").unwrap()),
        categories: Some(categories(&[2, 3])),
        ..Default::default()
    };
    let events = given_when(&[], &change(wish)).unwrap();
    let kinds: Vec<_> = events.iter().map(Event::type_name).collect();
    assert_eq!(kinds, ["product-details-changed", "product-categorized"]);
    let after = events
        .iter()
        .fold(Some(product_after(&[])), Product::evolve)
        .unwrap();
    assert_eq!((after.name.as_str(), after.updated_at), ("Light", later()));
    assert_eq!(after.category_ids, [category(2), category(3)]);
}

#[test]
fn the_order_of_categories_matters_and_their_repetition_does_not() {
    let with = |numbers: &[u128]| {
        change(ChangeProduct {
            categories: Some(categories(numbers)),
            ..Default::default()
        })
    };
    assert_eq!(given_when(&[], &with(&[1, 2, 1])), Ok(vec![]));
    assert_eq!(given_when(&[], &with(&[2, 1])).unwrap().len(), 1);
    assert_eq!(given_when(&[], &with(&[])).unwrap().len(), 1);
}

#[test]
fn too_many_categories_are_not_named_at_all() {
    assert!(Categories::parse((1..=20).map(category)).is_ok());
    assert_eq!(
        Categories::parse((1..=21).map(category)),
        Err(TooManyCategories)
    );
}

#[test]
fn a_sku_that_is_there_is_taken() {
    assert_eq!(given_when(&[], &create(&[])), Err(ProductRefusal::SkuTaken));
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    for command in [
        ProductCommand::ChangePrice(euros(1)),
        ProductCommand::ChangeListing(false),
    ] {
        assert_eq!(
            Product::decide(None, &command, &places(), at()),
            Err(ProductRefusal::NoSuchProduct)
        );
    }
}

fn any_command() -> impl Strategy<Value = ProductCommand> {
    let texts = "\\PC{0,300}";
    let patch = (texts, texts, prop::collection::vec(0_u128..6, 0..25)).prop_map(
        |(name, text, numbers)| {
            let merge = BTreeMap::from([(text.chars().take(9).collect(), Some(text.clone()))]);
            change(ChangeProduct {
                name: Name::parse(&name).ok(),
                description: Description::parse(&text).ok(),
                brand: Brand::parse(&text).ok(),
                categories: Categories::parse(numbers.into_iter().map(category)).ok(),
                attributes: AttributesChange::parse_merge(merge).ok(),
            })
        },
    );
    prop_oneof![
        patch,
        any::<bool>().prop_map(ProductCommand::ChangeListing),
        (0_i64..=1_000_000_000_000).prop_map(|amount| ProductCommand::ChangePrice(euros(amount))),
        prop::collection::vec(0_u128..6, 0..9).prop_map(|numbers| create(&numbers)),
    ]
}

proptest! {
    #[test]
    fn a_command_that_was_taken_has_nothing_left_to_do(
        commands in prop::collection::vec(any_command(), 0..20),
    ) {
        let mut product = product_after(&[]);
        for command in commands {
            let Ok(events) = Product::decide(Some(&product), &command, &places(), at()) else { continue };
            product = events.iter().fold(Some(product), Product::evolve).unwrap();
            prop_assert_eq!(Product::decide(Some(&product), &command, &places(), at()), Ok(vec![]));
        }
    }
}

#[test]
fn the_largest_event_fits_into_the_log() {
    let wide = "\u{1f600}";
    let path = |number: u128| -> Place {
        let step = CategoryRef {
            id: category(number),
            name: wide.repeat(100),
        };
        Place {
            path: vec![step; 8],
            retired: false,
        }
    };
    let places: Places = (1..=20)
        .map(|number| (category(number), path(number)))
        .collect();
    let numbers: Vec<u128> = (1..=20).collect();
    let attributes = (0..8)
        .map(|n| (format!("k{n}"), wide.repeat(2_000)))
        .collect();
    let wish = CreateProduct {
        name: Name::parse(&wide.repeat(250)).unwrap(),
        description: Description::parse(&wide.repeat(20_000)).unwrap(),
        attributes: Attributes::parse(attributes).unwrap(),
        ..creation(&numbers)
    };
    let events =
        Product::decide(None, &ProductCommand::Create(Box::new(wish)), &places, at()).unwrap();
    let bytes = events[0].to_data().to_string().len();
    // PostgreSQL writes a blank behind each comma and colon.
    assert!(
        bytes + 16 * 1024 < schemas::event::MAX_EVENT_BYTES,
        "{bytes} bytes"
    );
}
