//! What lines take in memory while they wait: estimated from what they hold, rather too high than
//! too low.
//!
//! Pure. A short line may become a long refusal, so content says little.

use schemas::problem::Problem;
use serde_json::Value;

use super::product_line::ProductLine;

/// What an allocation takes beside what it holds.
const ALLOCATION: usize = 16;
/// A node of a map from text to values, which has room for eleven.
const JSON_NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + ALLOCATION;

pub fn of_product_line(line: &ProductLine) -> usize {
    let optional = [
        line.name.as_ref().map(|text| text.as_str()),
        line.description.as_ref().map(|text| text.as_str()),
        line.brand.as_ref().map(|text| text.as_str()),
    ];
    let texts = [line.sku.as_str(), line.sku_key.as_str()].into_iter();
    let texts: usize = texts.chain(optional.into_iter().flatten()).map(text).sum();
    let paths = line.paths.iter().flatten();
    let paths: usize = paths
        .map(|path| {
            let names = path
                .iter()
                .map(|name| size_of::<String>() + text(name.as_str()));
            size_of::<Vec<String>>() + ALLOCATION + names.sum::<usize>()
        })
        .sum();
    let attributes = line.attributes.iter().flat_map(|all| all.as_map());
    let attributes: usize = attributes
        // Nodes of maps are half empty at worst.
        .map(|(name, value)| 4 * size_of::<String>() + text(name) + text(value))
        .sum();
    size_of::<ProductLine>() + ALLOCATION + texts + paths + attributes
}

pub fn of_problem(problem: &Problem) -> usize {
    let texts = [&problem.type_uri, &problem.title, &problem.detail];
    let texts: usize = texts.into_iter().map(|own| text(own)).sum();
    let members: usize = problem
        .members
        .iter()
        .map(|(name, value)| text(name) + of_value(value))
        .sum();
    size_of::<Problem>() + ALLOCATION + texts + JSON_NODE + members
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(own) => text(own),
        Value::Array(values) => {
            let each = values
                .iter()
                .map(|value| size_of::<Value>() + of_value(value));
            ALLOCATION + each.sum::<usize>()
        }
        Value::Object(members) => {
            let each = members.iter();
            JSON_NODE
                + each
                    .map(|(name, value)| text(name) + of_value(value))
                    .sum::<usize>()
        }
    }
}

fn text(text: &str) -> usize {
    text.len() + ALLOCATION
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::lines::Line;
    use super::super::product_line::read;
    use super::*;

    fn line(content: &'static str) -> Line {
        Line {
            number: 1,
            content: Ok(Bytes::from_static(content.as_bytes())),
        }
    }

    #[test]
    fn a_short_line_that_is_refused_takes_more_than_it_holds() {
        let problem = read(&line("{}")).unwrap_err();
        assert!(of_problem(&problem) > 1_000);
    }

    #[test]
    fn a_line_takes_what_its_texts_take_and_more() {
        let parsed = read(&line(r#"{"sku": "A", "attributes": {"a": "b", "c": "d"}}"#)).unwrap();
        let other = read(&line(r#"{"sku": "A", "attributes": {"a": "b"}}"#)).unwrap();
        assert!(of_product_line(&parsed) > of_product_line(&other) + 2 * size_of::<String>());
        assert!(of_product_line(&other) > size_of::<ProductLine>());
    }
}
