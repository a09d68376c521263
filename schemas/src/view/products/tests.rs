//! The product page, told as sentences.

use rstest::rstest;

use super::ProductDocument;
use crate::event::{CategoryRetired, Event, ProductDetailsChanged, ProductListed, ProductUnlisted};
use crate::id::ProductId;
use crate::lane::Lane;
use crate::view::given::{
    Log, PRODUCT, at, category, category_created, euros, moved, path, price_changed,
    product_categorized, product_created, renamed, stock_adjusted,
};
use crate::view::{Document, FoldError, View, ViewDocument};

const SHOP: [(u8, &str); 3] = [(1, "Home"), (2, "Lights"), (3, "Lamps")];

fn created() -> Event {
    product_created(vec![path(&SHOP)]).into()
}

fn after(events: impl IntoIterator<Item = Event>) -> ProductDocument {
    match Log::of(events).fold(View::Products, PRODUCT).unwrap() {
        Some(Document::Products(document)) => *document,
        other => panic!("no product but {other:?}"),
    }
}

fn unlisted() -> Event {
    ProductUnlisted {
        product_id: PRODUCT,
        occurred_at: at(1),
    }
    .into()
}

fn listed() -> Event {
    ProductListed {
        product_id: PRODUCT,
        occurred_at: at(2),
    }
    .into()
}

#[test]
fn a_new_product_is_listed_and_out_of_stock() {
    let product = after([created()]);
    assert_eq!(product.name, "Lamp");
    assert_eq!(product.price, euros(1999));
    assert!(product.listed && !product.in_stock && !product.removed);
    assert_eq!((product.seq, product.stream_version), (1, 1));
    assert_eq!((product.num_reviews, product.avg_rating), (0, None));
}

#[test]
fn a_product_matches_all_categories_on_its_way() {
    let product = after([created()]);
    assert_eq!(product.category_ids, [1, 2, 3].map(category));
    let lamps = &product.categories[0];
    assert_eq!((lamps.id, lamps.name.as_str()), (category(3), "Lamps"));
    assert_eq!(lamps.path, path(&SHOP));
}

#[test]
fn a_product_in_two_categories_names_a_shared_ancestor_once() {
    let gifts = path(&[(1, "Home"), (4, "Gifts")]);
    let product = after([product_created(vec![path(&SHOP), gifts.clone()]).into()]);
    assert_eq!(product.category_ids, [1, 2, 3, 4].map(category));
    assert_eq!(product.categories[1].path, gifts);
}

#[test]
fn new_categories_replace_the_old_ones() {
    let gifts = path(&[(4, "Gifts")]);
    let product = after([created(), product_categorized(vec![gifts], 1).into()]);
    assert_eq!(product.category_ids, [category(4)]);
    let product = after([created(), product_categorized(vec![], 1).into()]);
    assert!(product.categories.is_empty() && product.category_ids.is_empty());
}

#[test]
fn new_details_replace_the_old_ones_and_nothing_else() {
    let changed = ProductDetailsChanged {
        product_id: PRODUCT,
        name: "Big lamp".to_owned(),
        description: String::new(),
        brand: "Lux".to_owned(),
        attributes: [("watts".to_owned(), "7".to_owned())].into(),
        occurred_at: at(1),
    };
    let before = after([created()]);
    let product = after([created(), changed.clone().into()]);
    assert_eq!(product.name, "Big lamp");
    assert_eq!(
        (product.description.as_str(), product.brand.as_str()),
        ("", "Lux")
    );
    assert_eq!(product.attributes, changed.attributes);
    assert_eq!(product.attribute_values, ["7"]);
    assert_eq!((product.sku, product.price), (before.sku, before.price));
    assert_eq!(product.categories, before.categories);
}

#[test]
fn keys_are_kept_beside_texts_that_are_not_their_own() {
    let details = |brand: &str, name: &str, value: &str| ProductDetailsChanged {
        product_id: PRODUCT,
        name: "Lamp".to_owned(),
        description: String::new(),
        brand: brand.to_owned(),
        attributes: [(name.to_owned(), value.to_owned())].into(),
        occurred_at: at(1),
    };
    let joined = details("A\u{200d}B", "si\u{ad}ze", "two  halves");
    let product = after([created(), joined.clone().into()]);
    assert_eq!(product.brand_key.as_deref(), Some("AB"));
    let keys = [("size".to_owned(), "two halves".to_owned())];
    assert_eq!(product.attribute_keys, keys.into());
    assert_eq!(product.sku_key, product.sku.to_lowercase());
    let plain = details("AB", "size", "two halves");
    let product = after([created(), joined.into(), plain.into()]);
    assert_eq!(product.brand_key, None);
    assert!(product.attribute_keys.is_empty());
}

#[test]
fn the_last_price_counts() {
    let product = after([
        created(),
        price_changed(5, 1).into(),
        price_changed(7, 2).into(),
    ]);
    assert_eq!(product.price, euros(7));
    assert_eq!((product.created_at, product.updated_at), (at(0), at(2)));
}

#[test]
fn an_unlisted_product_keeps_its_page_and_comes_back() {
    let product = after([created(), unlisted()]);
    assert!(!product.listed && !product.removed);
    assert!(after([created(), unlisted(), listed()]).listed);
}

#[rstest]
#[case::some_left(10, 3, 7, true)]
#[case::all_promised(3, 3, 0, false)]
#[case::none(0, 0, 0, false)]
fn what_is_available_is_on_hand_and_not_promised(
    #[case] on_hand: i64,
    #[case] reserved: i64,
    #[case] available: i64,
    #[case] in_stock: bool,
) {
    let product = after([created(), stock_adjusted(on_hand, reserved, 1).into()]);
    assert_eq!((product.on_hand, product.reserved), (on_hand, reserved));
    assert_eq!((product.available, product.in_stock), (available, in_stock));
}

#[test]
fn stock_raises_the_seq_and_leaves_the_version_of_the_page() {
    let product = after([created(), stock_adjusted(10, 0, 1).into()]);
    assert_eq!((product.seq, product.stream_version), (2, 1));
    let product = after([
        created(),
        stock_adjusted(10, 0, 1).into(),
        price_changed(5, 2).into(),
    ]);
    assert_eq!((product.seq, product.stream_version), (3, 2));
}

#[test]
fn a_renamed_category_reads_differently_wherever_a_path_runs_through_it() {
    let gifts = path(&[(2, "Lights"), (4, "Gifts")]);
    let product = after([
        product_created(vec![path(&SHOP), gifts]).into(),
        renamed(2, "Lighting", 1).into(),
    ]);
    let expected = path(&[(1, "Home"), (2, "Lighting"), (3, "Lamps")]);
    assert_eq!(product.categories[0].path, expected);
    assert_eq!(product.categories[1].path[0].name, "Lighting");
    assert_eq!((product.seq, product.stream_version), (2, 1));
}

#[test]
fn a_renamed_own_category_changes_the_name_shown() {
    let product = after([created(), renamed(3, "Table lamps", 1).into()]);
    assert_eq!(product.categories[0].name, "Table lamps");
}

#[test]
fn a_moved_category_in_the_middle_of_a_path_takes_what_is_below_with_it() {
    let ancestors = path(&[(5, "Garden"), (6, "Outdoor")]);
    let product = after([created(), moved(2, ancestors, 1).into()]);
    let expected = path(&[(5, "Garden"), (6, "Outdoor"), (2, "Lights"), (3, "Lamps")]);
    assert_eq!(product.categories[0].path, expected);
    assert_eq!(product.category_ids, [2, 3, 5, 6].map(category));
    assert_eq!(product.categories[0].id, category(3));
}

#[test]
fn a_category_moved_to_the_root_loses_its_ancestors() {
    let product = after([created(), moved(2, path(&[]), 1).into()]);
    assert_eq!(product.categories[0].path, path(&SHOP[1..]));
    assert_eq!(product.category_ids, [2, 3].map(category));
}

#[test]
fn only_the_path_that_runs_through_it_is_moved() {
    let gifts = path(&[(4, "Gifts")]);
    let product = after([
        product_created(vec![path(&SHOP), gifts.clone()]).into(),
        moved(3, path(&[(4, "Gifts")]), 1).into(),
    ]);
    let expected = path(&[(4, "Gifts"), (3, "Lamps")]);
    assert_eq!(product.categories[0].path, expected);
    assert_eq!(product.categories[1].path, gifts);
}

#[test]
fn a_broadcast_about_another_category_changes_nothing() {
    let product = after([created(), renamed(9, "Toys", 1).into()]);
    assert_eq!(product, after([created()]));
}

#[test]
fn categories_that_come_and_go_leave_products_alone() {
    let retired = CategoryRetired {
        category_id: category(3),
        occurred_at: at(1),
    };
    let toys = category_created(path(&[(9, "Toys")]));
    let product = after([created(), toys.into(), retired.into()]);
    assert_eq!(product, after([created()]));
}

#[test]
fn a_change_of_a_product_that_was_never_created_is_poison() {
    let log = Log::of([price_changed(5, 1).into()]);
    let error = log.fold(View::Products, PRODUCT).unwrap_err();
    assert_eq!(
        error,
        FoldError::NoDocument {
            event: "price-changed"
        }
    );
}

#[test]
fn a_product_that_is_created_again_is_poison() {
    let log = Log::of([created(), created()]);
    let error = log.fold(View::Products, PRODUCT).unwrap_err();
    assert_eq!(
        error,
        FoldError::AlreadyThere {
            event: "product-created"
        }
    );
}

#[test]
fn an_event_that_no_product_listens_to_is_refused() {
    let log = Log::of([created(), category_created(path(&[(9, "Toys")])).into()]);
    let mut product = ProductDocument::create(&log.envelopes[0]).unwrap();
    let error = product.fold(&log.envelopes[1]).unwrap_err();
    assert_eq!(
        error,
        FoldError::NotTargeted {
            event: "category-created"
        }
    );
}

#[test]
fn an_event_of_another_product_is_refused() {
    let mut other = price_changed(5, 1);
    other.product_id = ProductId(uuid::Uuid::from_u128(9));
    let log = Log::of([created(), other.into()]);
    let product = log.fold(View::Products, PRODUCT).unwrap();
    let error = View::Products.fold(product, &log.envelopes[1]).unwrap_err();
    assert_eq!(
        error,
        FoldError::NotTargeted {
            event: "price-changed"
        }
    );
}

#[test]
fn a_broadcast_of_another_lane_is_refused() {
    let mut log = Log::of([created(), renamed(2, "Lighting", 1).into()]);
    log.envelopes[1].lane = Lane::of(uuid::Uuid::nil());
    let error = log.fold(View::Products, PRODUCT).unwrap_err();
    assert_eq!(
        error,
        FoldError::NotTargeted {
            event: "category-renamed"
        }
    );
}
