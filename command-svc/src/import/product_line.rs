//! A line of a product import, read: what the catalogue shall hold under a sku.
//!
//! Pure. A line that cannot be read is refused with every violation at once.

use std::collections::HashSet;

use chassis::extract::parse_json_line;
use schemas::money::Money;
use schemas::problem::{Problem, ProblemType, Violation};
use schemas::rest::import::ProductUpsert;
use schemas::text::without_controls;

use super::lines::Line;
use crate::domain::attributes::Attributes;
use crate::domain::category::MAX_DEPTH;
use crate::domain::number::Inventory;
use crate::domain::product::MAX_CATEGORIES;
use crate::domain::text::{Brand, CategoryName, Description, Name, NameKey, Sku, SkuKey};
use crate::parse::{Fields, clearable};

/// The names from a root down to a category.
pub type NamePath = Vec<CategoryName>;

/// None leaves alone what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductLine {
    pub sku: Sku,
    pub sku_key: SkuKey,
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub brand: Option<Brand>,
    pub price: Option<Money>,
    /// Each once.
    pub paths: Option<Vec<NamePath>>,
    pub attributes: Option<Attributes>,
    /// Of a new product.
    pub inventory: Inventory,
}

impl ProductLine {
    /// False where a new product would lack something.
    pub fn can_create(&self) -> bool {
        self.name.is_some() && self.price.is_some()
    }
}

/// Reads a line, or says why it is refused.
pub fn read(line: &Line) -> Result<ProductLine, Box<Problem>> {
    let content = line
        .content
        .as_ref()
        .map_err(|too_long| Problem::new(ProblemType::BodyTooLarge, too_long.to_string()))?;
    let body: ProductUpsert = parse_json_line(content).map_err(|error| error.problem().clone())?;
    parse(body).map_err(|violations| Box::new(Problem::validation(&violations)))
}

/// A member that a new product needs.
pub fn missing(member: &str) -> Violation {
    let message = format!("missing field `{member}`, which a new product needs");
    Violation::new(format!("/{member}"), message)
}

fn parse(body: ProductUpsert) -> Result<ProductLine, Vec<Violation>> {
    let mut fields = Fields::of_import_line();
    if body.sku.is_none() {
        fields.add("/sku", "missing field `sku`");
    }
    let sku = body.sku.and_then(|sku| fields.sku(&sku));
    let name = fields.required("/name", body.name);
    let name = name.and_then(|name| fields.name(&name));
    let price = fields.required("/price", body.price);
    let price = price.and_then(|price| fields.money("/price", &price));
    let description = clearable(body.description);
    let description = description.and_then(|text| fields.description(&text));
    let brand = clearable(body.brand).and_then(|text| fields.brand(&text));
    let paths = clearable(body.categories);
    let paths = paths.and_then(|paths| parse_paths(&mut fields, &paths));
    let attributes = clearable(body.attributes);
    let attributes = attributes.and_then(|attributes| fields.attributes(attributes));
    let inventory = clearable(body.inventory).unwrap_or_default();
    let inventory = fields.inventory(inventory);
    let parsed = sku.zip(inventory).map(|(sku, inventory)| ProductLine {
        sku_key: SkuKey::from(&sku),
        sku,
        name,
        description,
        brand,
        price,
        paths,
        attributes,
        inventory,
    });
    fields.into_result(parsed)
}

fn parse_paths(fields: &mut Fields, categories: &[String]) -> Option<Vec<NamePath>> {
    let mut paths = Vec::new();
    let mut named = HashSet::new();
    let mut complete = true;
    for (index, text) in categories.iter().enumerate() {
        match fields.take(&format!("/categories/{index}"), path(text)) {
            Some(path) if path.is_empty() || !named.insert(keys(&path)) => {}
            Some(path) => paths.push(path),
            None => complete = false,
        }
        if paths.len() > MAX_CATEGORIES {
            let message = format!("must name at most {MAX_CATEGORIES} categories");
            fields.add("/categories", &message);
            return None;
        }
    }
    complete.then_some(paths)
}

fn keys(path: &NamePath) -> Vec<NameKey> {
    path.iter().map(|name| NameKey::of(name.as_str())).collect()
}

fn path(text: &str) -> Result<NamePath, String> {
    let text = without_controls(text);
    let levels = levels(&text);
    if levels.len() > MAX_DEPTH {
        return Err(format!("must have at most {MAX_DEPTH} levels"));
    }
    let name = |level: &str| {
        let shown: String = level.chars().take(30).collect();
        CategoryName::parse(level).map_err(|error| format!("the name '{shown}' {error}"))
    };
    levels.into_iter().map(name).collect()
}

/// Cuts a path at each `>` that stands alone; levels without a name do not count.
fn levels(text: &str) -> Vec<&str> {
    let is_blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let mut levels = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('>') {
        if is_blank(text[..at].chars().next_back()) && is_blank(text[at + 1..].chars().next()) {
            levels.push(text[start..at].trim());
            start = at + 1;
        }
    }
    levels.push(text[start..].trim());
    levels.retain(|level| !level.is_empty());
    levels
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    use bytes::Bytes;
    use flate2::read::MultiGzDecoder;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn read_json(line: &Value) -> Result<ProductLine, Box<Problem>> {
        read(&Line {
            number: 1,
            content: Ok(Bytes::from(line.to_string())),
        })
    }

    fn lamp() -> Value {
        json!({"sku": "L-1", "name": "Lamp", "price": {"amount": 1999, "currency": "EUR"}})
    }

    fn with(member: &str, value: Value) -> Value {
        let mut line = lamp();
        line[member] = value;
        line
    }

    #[test]
    fn a_line_needs_sku_name_and_price_alone() {
        let parsed = read_json(&lamp()).unwrap();
        assert_eq!((&parsed.description, &parsed.paths), (&None, &None));
        assert_eq!((parsed.sku.as_str(), parsed.inventory.units()), ("L-1", 0));
    }

    #[test]
    fn control_characters_become_blanks() {
        let parsed = read_json(&with("name", json!("\u{1}Desk\u{85}lamp\n"))).unwrap();
        assert_eq!(parsed.name.unwrap().as_str(), "Desk lamp");
        let parsed = read_json(&with("description", json!("one\ntwo\u{7}"))).unwrap();
        assert_eq!(parsed.description.unwrap().as_str(), "one\ntwo");
    }

    #[rstest]
    #[case("A > B > C", &["A", "B", "C"])]
    #[case("A >  > B", &["A", "B"])]
    #[case(" > A > > B >", &["A", "B"])]
    #[case("A>B > C", &["A>B", "C"])]
    #[case("  Frzn  ice ", &["Frzn  ice"])]
    #[case(" > ", &[])]
    #[case("", &[])]
    fn a_path_is_cut_where_a_sign_stands_alone(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(levels(text), expected);
    }

    #[test]
    fn a_category_named_twice_is_named_once() {
        let parsed = read_json(&with("categories", json!(["A > B", " A >  B", "", "A"]))).unwrap();
        let paths = parsed.paths.unwrap();
        let names: Vec<Vec<&str>> = paths
            .iter()
            .map(|path| path.iter().map(CategoryName::as_str).collect())
            .collect();
        assert_eq!(names, [vec!["A", "B"], vec!["A"]]);
    }

    #[rstest]
    #[case("categories", json!(["A", "1 > 2 > 3 > 4 > 5 > 6 > 7 > 8 > 9"]), "/categories/1")]
    #[case("categories", json!(["x".repeat(101)]), "/categories/0")]
    #[case("sku", json!("X\u{7}B"), "/sku")]
    #[case("sku", json!("X\u{0}"), "/sku")]
    #[case("sku", json!("X\u{200b}"), "/sku")]
    #[case("sku", json!(null), "/sku")]
    #[case("name", json!(null), "/name")]
    #[case("price", json!(null), "/price")]
    #[case("brand", json!("\u{2800}"), "/brand")]
    #[case("attributes", json!({"a": "1", "a\u{85}": "2"}), "/attributes/a ")]
    #[case("name", json!(""), "/name")]
    #[case("name", json!("x".repeat(251)), "/name")]
    #[case("price", json!({"amount": -1, "currency": "EUR"}), "/price/amount")]
    #[case("price", json!({"amount": 1, "currency": "EURO"}), "/price/currency")]
    #[case("price", json!({"amount": "1", "currency": "EUR"}), "/price/amount")]
    #[case("inventory", json!(-1), "/inventory")]
    #[case("colour", json!("red"), "/colour")]
    #[case("attributes", json!({"a": 1}), "/attributes/a")]
    fn a_refusal_names_the_place(
        #[case] member: &str,
        #[case] value: Value,
        #[case] pointer: &str,
    ) {
        let problem = read_json(&with(member, value)).unwrap_err();
        assert_eq!(problem.status, 422);
        assert_eq!(problem.members["errors"][0]["pointer"], pointer);
    }

    #[test]
    fn a_repeated_attribute_is_refused_with_its_pointer() {
        let content = br#"{"sku": "L-1", "attributes": {"a": "1", "b": "", "a": "2"}}"#;
        let line = Line {
            number: 1,
            content: Ok(Bytes::from_static(content)),
        };
        let problem = read(&line).unwrap_err();
        assert_eq!(problem.members["errors"][0]["pointer"], "/attributes/a");
    }

    #[test]
    fn null_clears_what_may_be_empty() {
        let line = json!({
            "sku": "L-1", "description": null, "brand": null, "categories": null,
            "attributes": null, "inventory": null
        });
        let parsed = read_json(&line).unwrap();
        assert_eq!((parsed.name, parsed.price), (None, None));
        assert_eq!(parsed.description.unwrap().as_str(), "");
        assert_eq!(parsed.brand.unwrap().as_str(), "");
        assert_eq!(parsed.paths, Some(Vec::new()));
        assert_eq!(parsed.attributes, Some(Attributes::default()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut line = with("name", json!(" "));
        line["price"]["amount"] = json!(-5);
        let problem = read_json(&line).unwrap_err();
        assert_eq!(problem.members["errors"].as_array().map(Vec::len), Some(2));
    }

    #[rstest]
    #[case(b"{\"sku\": \"\xff\"}")]
    #[case(b"{\"sku\"")]
    #[case(b"nothing")]
    fn what_is_no_json_is_malformed(#[case] content: &'static [u8]) {
        let line = Line {
            number: 1,
            content: Ok(Bytes::from_static(content)),
        };
        assert_eq!(read(&line).unwrap_err().status, 400);
    }

    /// Beside the workspace, where it is at all.
    const REAL_DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");

    #[test]
    #[expect(
        clippy::print_stderr,
        reason = "the person who runs the tests has to see it"
    )]
    fn every_line_of_the_real_shops_can_be_read() {
        for name in ["clothing", "electronics", "grocery"] {
            let path = format!("{REAL_DATA}/{name}-products.ndjson.gz");
            let Ok(file) = File::open(&path) else {
                eprintln!("skipped: {path} does not exist");
                continue;
            };
            let lines = BufReader::new(MultiGzDecoder::new(file)).split(b'\n');
            for (number, content) in (1..).zip(lines) {
                let line = Line {
                    number,
                    content: Ok(Bytes::from(content.unwrap())),
                };
                assert_eq!(read(&line).err(), None, "{name}: {line:?}");
            }
        }
    }
}
