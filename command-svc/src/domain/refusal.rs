//! Refusals: every way in which the catalogue says no to a well-formed command.

use schemas::id::CategoryId;
use schemas::problem::{Problem, ProblemType, Violation};
use serde_json::json;

use super::category::MAX_DEPTH;
use super::number::MAX_UNITS;

/// A business "no". Not an error: nothing went wrong, and asking again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NoSuchCategory,
    NoSuchProduct,
    SkuTaken,
    CategoryNameTaken,
    CategoryInUse,
    /// The category that the command is about, or one that it names.
    CategoryRetired(CategoryId),
    CategoryCycle,
    CategoryTooDeep,
    UnknownCategory(CategoryId),
    InsufficientStock {
        available: i64,
    },
    StockOverflow,
    /// Bounds that only show once the merge patch meets what is there.
    Attributes(String),
}

impl Refusal {
    /// As the client reads it.
    pub fn problem(&self) -> Problem {
        let new = |problem_type, detail: &str| Problem::new(problem_type, detail);
        match self {
            Self::NoSuchCategory => new(ProblemType::NotFound, "there is no category of this id"),
            Self::NoSuchProduct => new(ProblemType::NotFound, "there is no product of this id"),
            Self::SkuTaken => new(ProblemType::SkuTaken, "choose another sku").with(
                "errors",
                json!([{"pointer": "/sku", "message": "is taken"}]),
            ),
            Self::CategoryNameTaken => new(
                ProblemType::CategoryNameTaken,
                "choose another name or another parent",
            ),
            Self::CategoryInUse => new(
                ProblemType::CategoryInUse,
                "take its products and categories elsewhere first",
            ),
            Self::CategoryRetired(id) => new(
                ProblemType::CategoryRetired,
                "a retired category takes no more changes",
            )
            .with("category_id", id),
            Self::CategoryCycle => new(
                ProblemType::CategoryCycle,
                "the new parent is the category or below it",
            ),
            Self::CategoryTooDeep => new(
                ProblemType::CategoryTooDeep,
                "the category would end below the last level",
            )
            .with("max_depth", MAX_DEPTH),
            Self::UnknownCategory(id) => new(
                ProblemType::UnknownCategory,
                "there is no category of a named id",
            )
            .with("category_id", id),
            Self::InsufficientStock { available } => new(
                ProblemType::InsufficientStock,
                "fewer units are available than would go",
            )
            .with("available", available),
            Self::StockOverflow => new(ProblemType::StockOverflow, "more units than are counted")
                .with("max_on_hand", MAX_UNITS),
            Self::Attributes(message) => {
                Problem::validation(&[Violation::new("/attributes", message)])
            }
        }
    }
}
