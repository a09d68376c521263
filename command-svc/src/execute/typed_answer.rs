//! Kept answers in the form of releases before V5: they read no other, and what they have kept is
//! read here.
//!
//! Those releases know these three kinds of resources, so no kind is ever added.

use schemas::problem::Problem;
use schemas::rest::command as rest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Representation};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TypedAnswer {
    Created { resource: Typed, version: u64 },
    Current { resource: Typed, version: u64 },
    Refused { problem: Problem },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Typed {
    Category(rest::Category),
    Product(Box<rest::Product>),
    Stock(rest::Stock),
}

/// An answer as it is written for those releases.
pub(super) fn write(answer: &Answer) -> Value {
    match answer {
        Answer::Created(made) => json!({"created": write_representation(made)}),
        Answer::Current(current) => json!({"current": write_representation(current)}),
        Answer::Refused(problem) => json!({"refused": {"problem": problem}}),
        Answer::Kept(_) => Value::Null,
    }
}

/// An answer that such a release has kept.
pub(super) fn read(kept: Value) -> Result<Answer, serde_json::Error> {
    Ok(match serde_json::from_value(kept)? {
        TypedAnswer::Created { resource, version } => Answer::Created(resource.at(version)?),
        TypedAnswer::Current { resource, version } => Answer::Current(resource.at(version)?),
        TypedAnswer::Refused { problem } => Answer::Refused(problem),
    })
}

fn write_representation(representation: &Representation) -> Value {
    let body: Value =
        serde_json::from_slice(&representation.body).expect("a representation is JSON");
    json!({"resource": {representation.kind: body}, "version": representation.version})
}

impl Typed {
    fn at(self, version: u64) -> Result<Representation, serde_json::Error> {
        let (kind, location, body) = match self {
            Self::Category(own) => (
                "category",
                Some(format!("/v1/categories/{}", own.id)),
                to_json(&own)?,
            ),
            Self::Product(own) => (
                "product",
                Some(format!("/v1/products/{}", own.id)),
                to_json(&own)?,
            ),
            Self::Stock(own) => ("stock", None, to_json(&own)?),
        };
        Ok(Representation {
            kind,
            location,
            version,
            body,
        })
    }
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(body)
}

#[cfg(test)]
mod tests {
    use schemas::problem::ProblemType;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let stock = rest::Stock {
            on_hand: 3,
            reserved: 1,
            available: 2,
        };
        let moved = Representation {
            kind: "stock",
            location: None,
            version: 4,
            body: to_json(&stock).unwrap(),
        };
        let problem = Problem::new(ProblemType::SkuTaken, "choose another sku");
        for answer in [Answer::Current(moved), Answer::Refused(problem)] {
            assert_eq!(read(write(&answer)).unwrap(), answer);
        }
    }

    #[test]
    fn the_form_is_that_of_the_releases_before() {
        let id = Uuid::from_u128(7);
        let category = json!({
            "id": id, "name": "Lamps", "parent_id": null, "path": [],
            "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z"
        });
        let kept = json!({"created": {"resource": {"category": category}, "version": 1}});
        let answer = read(kept.clone()).unwrap();
        assert_eq!(write(&answer), kept);
        let sent = answer.into_sent("/v1/categories");
        let location = ("location".to_owned(), format!("/v1/categories/{id}"));
        assert!(
            sent.status == 201 && sent.headers.contains(&location),
            "{sent:?}"
        );
    }
}
