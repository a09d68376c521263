//! What a command is answered: the new representation, or a problem. Kept under idempotency keys.

use chassis::problem::PROBLEM_JSON;
use schemas::problem::{Problem, ProblemType};
use schemas::rest::command as rest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::category::Category;
use crate::domain::product::Product;
use crate::domain::stock::Stock;
use crate::store::Stored;
use crate::store::idempotency::SentAnswer;
use schemas::event::category::CategoryPath;

/// An answer in full: the same answer again is the same status, body and headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Created {
        resource: Resource,
        version: u64,
    },
    /// As it stands now, changed by this command or not.
    Current {
        resource: Resource,
        version: u64,
    },
    /// A refusal, or another version than was expected.
    Refused {
        problem: Problem,
    },
    /// As it was kept under an idempotency key.
    #[serde(skip)]
    Kept(SentAnswer),
}

/// How a refusal looks to the client: said in `http`, of the refusals of each aggregate.
pub trait ToProblem {
    fn to_problem(&self) -> Problem;
}

/// A representation, as the contract has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Category(rest::Category),
    Product(Box<rest::Product>),
    Stock(rest::Stock),
}

impl Answer {
    pub(super) fn refused(refusal: &impl ToProblem) -> Self {
        Self::Refused {
            problem: refusal.to_problem(),
        }
    }

    pub(super) fn mismatch(current_version: u64) -> Self {
        let detail = "If-Match names another version than the current one";
        let problem = Problem::new(ProblemType::VersionMismatch, detail)
            .with("current_version", current_version);
        Self::Refused { problem }
    }

    /// To a creation that expects something to be there.
    pub(super) fn nothing_to_match() -> Self {
        let detail = "If-Match expects a resource, and this request makes one";
        let problem = Problem::new(ProblemType::VersionMismatch, detail);
        Self::Refused { problem }
    }

    /// As the client gets it; `path` is what it asked for.
    pub fn into_sent(self, path: &str) -> SentAnswer {
        match self {
            Self::Created { resource, version } => resource.into_sent(201, version),
            Self::Current { resource, version } => resource.into_sent(200, version),
            Self::Refused { mut problem } => {
                problem.instance = Some(path.to_owned());
                let headers = vec![("content-type".to_owned(), PROBLEM_JSON.to_owned())];
                let (status, body) = (problem.status, to_json(&problem));
                SentAnswer {
                    status,
                    headers,
                    body,
                }
            }
            Self::Kept(sent) => sent,
        }
    }

    /// For releases that read no other form.
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("answers are plain data")
    }
}

impl Resource {
    fn into_sent(self, status: u16, version: u64) -> SentAnswer {
        let (location, body) = match self {
            Self::Category(category) => (
                Some(format!("/v1/categories/{}", category.id)),
                to_json(&category),
            ),
            Self::Product(product) => (
                Some(format!("/v1/products/{}", product.id)),
                to_json(&product),
            ),
            Self::Stock(stock) => (None, to_json(&stock)),
        };
        let header = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![
            header("content-type", "application/json".to_owned()),
            header("etag", format!("\"{version}\"")),
        ];
        headers.extend(
            location
                .filter(|_| status == 201)
                .map(|location| header("location", location)),
        );
        SentAnswer {
            status,
            headers,
            body,
        }
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers are plain data")
}

pub(super) fn of_category(category: &Stored<Category>, path: CategoryPath) -> Resource {
    let value = &category.value;
    Resource::Category(rest::Category {
        id: value.id,
        name: value.name.clone(),
        parent_id: value.parent_id,
        path,
        created_at: value.created_at,
        updated_at: value.updated_at,
    })
}

pub(super) fn of_product(product: &Stored<Product>) -> Resource {
    let value = product.value.clone();
    Resource::Product(Box::new(rest::Product {
        id: value.id,
        sku: value.sku,
        name: value.name,
        description: value.description,
        brand: value.brand,
        price: rest::MoneyBody {
            amount: value.price.amount,
            currency: value.price.currency.code().to_owned(),
        },
        category_ids: value.category_ids,
        attributes: value.attributes,
        listed: value.listed,
        created_at: value.created_at,
        updated_at: value.updated_at,
    }))
}

pub(super) fn of_stock(stock: &Stored<Stock>) -> Resource {
    let value = &stock.value;
    Resource::Stock(rest::Stock {
        on_hand: value.on_hand,
        reserved: value.reserved,
        available: value.available(),
    })
}
