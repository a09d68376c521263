//! What counts as the same is found in every form: skus, brands, attributes; and whatever may be
//! stored may be filtered by.

use schemas::text::{
    MAX_ATTRIBUTE_NAME_CHARS, MAX_ATTRIBUTE_VALUE_CHARS, MAX_BRAND_CHARS, MAX_NAME_CHARS,
};
use schemas::view::Document;

use crate::search::{draft, found, stocked};
use crate::shop::created_product;

/// U+200C joins the halves of the first word, as Persian has it.
const JOINED: &str = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}";
const PLAIN: &str = "\u{645}\u{6cc}\u{62e}\u{648}\u{627}\u{647}\u{645}";

fn product(name: &str, sku: &str, brand: &str, attribute: (&str, &str)) -> Document {
    let mut draft = draft(name);
    draft.sku = sku.to_owned();
    draft.brand = brand.to_owned();
    let (attribute, value) = attribute;
    draft
        .attributes
        .insert(attribute.to_owned(), value.to_owned());
    created_product(draft, 1).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_or_attribute_stored_in_one_form_is_found_by_a_filter_in_the_other() {
    let heart = ("\u{2764}\u{fe0f} size", "two  \u{2764}");
    let documents = [
        product("Joined", "A-1", JOINED, heart),
        product(
            "Plain",
            "A-2",
            PLAIN,
            ("\u{2764} size", "two \u{2764}\u{fe0f}"),
        ),
        product("Other", "A-3", "Acme", ("size", "two")),
    ];
    let (_shop, replica) = stocked(documents.to_vec()).await;
    let client = replica.client();
    let attribute = "attr.\u{2764} size";
    let filters: [&[(&str, &str)]; 5] = [
        &[("brand", JOINED)],
        &[("brand", PLAIN)],
        &[("brand", PLAIN), ("facets", "brand")],
        &[(attribute, "two \u{2764}")],
        &[("attr.\u{2764}\u{fe0f} size", "two  \u{2764}\u{fe0f}")],
    ];
    for filter in filters {
        let mut names = found(&client, filter).await;
        names.sort();
        assert_eq!(names, ["Joined", "Plain"], "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_texts_that_may_be_stored_may_be_filtered_by() {
    let wide = |chars: usize| "\u{1f600}".repeat(chars);
    let (brand, name) = (wide(MAX_BRAND_CHARS), wide(MAX_ATTRIBUTE_NAME_CHARS));
    let value = wide(MAX_ATTRIBUTE_VALUE_CHARS);
    let documents = vec![product("Wide", "A-1", &brand, (&name, &value))];
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    let attribute = format!("attr.{name}");
    let filter = [("brand", brand.as_str()), (&attribute, &value)];
    assert_eq!(found(&client, &filter).await, ["Wide"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_name_that_may_be_stored_finds_its_product() {
    let words = (0..).map(|number| format!("word{number}"));
    let many = words.take(36).collect::<Vec<_>>().join(" ");
    let names = [many + " ending", "x".repeat(MAX_NAME_CHARS)];
    assert!(names[0].chars().count() <= MAX_NAME_CHARS);
    let documents = [
        product(&names[0], "A-1", "", ("a", "1")),
        product(&names[1], "A-2", "", ("a", "1")),
        product("Other", "A-3", "", ("a", "1")),
    ];
    let (_shop, replica) = stocked(documents.to_vec()).await;
    let client = replica.client();
    for name in &names {
        assert_eq!(found(&client, &[("q", name)]).await, [name.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_is_found_in_every_form_that_counts_as_the_same() {
    let documents = vec![
        product(
            "Odyssey",
            "\u{39f}\u{3b4}\u{3c5}\u{3c3}\u{3c3}\u{3b5}\u{3cd}\u{3c2}",
            "",
            ("a", "1"),
        ),
        // As it was stored before skus were composed.
        product("Coffee", "CAFE\u{301}7", "", ("a", "1")),
    ];
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    let shouted = "\u{39f}\u{394}\u{3a5}\u{3a3}\u{3a3}\u{395}\u{38e}\u{3a3}";
    assert_eq!(found(&client, &[("q", shouted)]).await, ["Odyssey"]);
    assert_eq!(found(&client, &[("q", "caf\u{e9}7")]).await, ["Coffee"]);
}
