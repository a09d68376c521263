//! Planning a batch: what its lines become, as sentences.

use bytes::Bytes;
use schemas::event::{Event, PriceChanged, ProductCategorized};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::batch::{Queue, ReadLine};
use super::super::lines::Line;
use super::*;
use crate::domain::stock::Stock;
use crate::store::Row;

const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn lamp() -> Value {
    json!({
        "sku": "L-1", "name": "Lamp", "price": {"amount": 1999, "currency": "EUR"},
        "categories": ["Light > Desk"], "inventory": 3, "attributes": {"colour": "red"}
    })
}

/// What a batch of these lines does to a catalogue; categories always exist.
fn import(known: BySku, lines: &[Value]) -> Plan {
    let mut queue = Queue::default();
    for (number, content) in (1..).zip(lines) {
        let line = Line {
            number,
            content: Ok(Bytes::from(content.to_string())),
        };
        queue.push(ReadLine::new(&line));
    }
    let mut ids = (1..).map(|id| ProductId(Uuid::from_u128(id)));
    let batch = queue.take(100, || ids.next().unwrap());
    let count = batch.tree.nodes().len();
    let found: Vec<_> = (0..count)
        .map(|node| Some(CategoryId(Uuid::from_u128(1000 + node as u128))))
        .collect();
    let all = (0..count).collect();
    let grown = batch
        .tree
        .grow(&found, &all, || unreachable!(), AT)
        .unwrap();
    plan(&batch.entries, known, &grown, AT)
}

fn shop_with(product: &Stored<Product>) -> BySku {
    HashMap::from([(SkuKey::of(&product.value.sku), product.clone())])
}

fn made_elsewhere(line: &Value) -> Stored<Product> {
    let plan = import(BySku::new(), std::slice::from_ref(line));
    let mut product = plan.changes.created::<Product>()[0].clone();
    product.value.id = ProductId(Uuid::from_u128(77));
    product
}

fn stocks(plan: &Plan) -> Vec<&Stored<Stock>> {
    plan.changes.created()
}

/// The one product that was there and is changed.
fn updated(plan: &Plan) -> &Row<Product> {
    let mut rows = plan.changes.changed::<Product>();
    let row = rows.next().unwrap();
    assert!(!row.is_new() && rows.next().is_none());
    row
}

fn is_recategorized(plan: &Plan) -> bool {
    let Row { before, after } = updated(plan);
    before.as_ref().unwrap().value.category_ids != after.value.category_ids
}

fn statuses(plan: &Plan) -> Vec<LineStatus> {
    plan.answers
        .iter()
        .map(|answered| answered.status)
        .collect()
}

#[test]
fn a_new_sku_makes_a_product_and_then_its_stock() {
    let plan = import(BySku::new(), &[lamp()]);
    assert_eq!(statuses(&plan), [LineStatus::Created]);
    assert_eq!(stocks(&plan)[0].value.on_hand, 3);
    let types: Vec<_> = plan
        .changes
        .events()
        .iter()
        .map(|(_, event)| event.type_name())
        .collect();
    assert_eq!(types, ["product-created", "stock-adjusted"]);
}

#[test]
fn no_inventory_is_an_empty_stock_without_an_event() {
    let mut line = lamp();
    line["inventory"] = json!(0);
    let plan = import(BySku::new(), &[line]);
    assert_eq!(
        (stocks(&plan)[0].version, plan.changes.events().len()),
        (0, 1)
    );
}

#[test]
fn the_same_line_again_changes_nothing() {
    let product = made_elsewhere(&lamp());
    let plan = import(shop_with(&product), &[lamp()]);
    assert_eq!(statuses(&plan), [LineStatus::Unchanged]);
    assert!(plan.is_empty());
}

#[test]
fn an_inventory_counts_on_creation_alone() {
    let product = made_elsewhere(&lamp());
    let mut line = lamp();
    line["inventory"] = json!(500);
    assert_eq!(
        statuses(&import(shop_with(&product), &[line])),
        [LineStatus::Unchanged]
    );
}

#[test]
fn what_differs_is_changed_and_nothing_else() {
    let product = made_elsewhere(&lamp());
    let mut line = lamp();
    line["price"]["amount"] = json!(5);
    let plan = import(shop_with(&product), &[line]);
    assert_eq!(statuses(&plan), [LineStatus::Updated]);
    assert_eq!(plan.answers[0].id, Some(product.value.id));
    assert!(
        matches!(plan.changes.events(), [(2, Event::PriceChanged(PriceChanged { price, .. }))]
        if price.amount == 5)
    );
    assert_eq!(updated(&plan).after.version, 2);
    assert!(!is_recategorized(&plan));
}

#[test]
fn other_categories_replace_those_before() {
    let product = made_elsewhere(&lamp());
    let mut line = lamp();
    line["categories"] = json!([]);
    let plan = import(shop_with(&product), &[line]);
    assert_eq!(updated(&plan).after.value.id, product.value.id);
    assert!(is_recategorized(&plan));
    assert!(
        matches!(plan.changes.events(), [(2, Event::ProductCategorized(ProductCategorized {
        categories, ..
    }))] if categories.is_empty())
    );
}

#[test]
fn a_line_whose_first_try_was_committed_unnoticed_is_still_created() {
    let mut product = made_elsewhere(&lamp());
    product.value.id = ProductId(Uuid::from_u128(1));
    let plan = import(shop_with(&product), &[lamp()]);
    assert_eq!(statuses(&plan), [LineStatus::Created]);
    assert!(plan.is_empty());
}

#[test]
fn what_a_line_leaves_out_stays_as_it_is() {
    let full = json!({
        "sku": "L-1", "name": "Lamp", "price": {"amount": 1999, "currency": "EUR"},
        "description": "Bright", "brand": "Lumen", "categories": ["Light > Desk"],
        "attributes": {"colour": "red"}
    });
    let known = made_elsewhere(&full);
    let renamed = import(shop_with(&known), &[json!({"sku": "L-1", "name": "Light"})]);
    assert_eq!(statuses(&renamed), [LineStatus::Updated]);
    let mut expected = known.value.clone();
    expected.name = "Light".to_owned();
    assert_eq!(updated(&renamed).after.value, expected);
    let nothing = import(shop_with(&known), &[json!({"sku": "L-1"})]);
    assert_eq!(statuses(&nothing), [LineStatus::Unchanged]);
    let cleared = json!({"sku": "L-1", "description": null, "brand": "", "attributes": {}});
    let cleared = import(shop_with(&known), &[cleared]);
    let product = &updated(&cleared).after.value;
    assert_eq!(
        (product.description.as_str(), product.brand.as_str()),
        ("", "")
    );
    assert!(product.attributes.is_empty() && !product.category_ids.is_empty());
}

#[test]
fn a_new_product_needs_name_and_price() {
    let plan = import(BySku::new(), &[json!({"sku": "X-1"}), lamp()]);
    assert_eq!(statuses(&plan), [LineStatus::Refused, LineStatus::Created]);
    let errors = &plan.answers[0].problem.as_ref().unwrap().members["errors"];
    let pointers = [&errors[0]["pointer"], &errors[1]["pointer"]];
    assert_eq!(pointers, ["/name", "/price"]);
}
