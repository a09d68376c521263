//! Problems: every way in which Tidemark says no, with its stable name and status (RFC 9457).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

macro_rules! problem_types {
    ($($name:ident = $status:literal $wire:literal $title:literal),+ $(,)?) => {
        /// The one table of problem types.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemType {
            $($name),+
        }

        impl ProblemType {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Last part of the type's URI; it never changes.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $wire),+ }
            }

            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

problem_types! {
    Malformed = 400 "malformed" "The request cannot be read",
    TidemarkMalformed = 400 "tidemark-malformed" "The tidemark is not one that Tidemark issued",
    CursorMalformed = 400 "cursor-malformed" "The cursor is not one that this list issued",
    Unauthenticated = 401 "unauthenticated" "A valid bearer token is needed",
    Forbidden = 403 "forbidden" "This role may not do that",
    NotFound = 404 "not-found" "There is nothing here",
    MethodNotAllowed = 405 "method-not-allowed" "This resource does not take that method",
    AnswersNotRead = 408 "answers-not-read" "The answers of the import were not read",
    HistoryChanged = 409 "history-changed" "The tidemark is of another history",
    SkuTaken = 409 "sku-taken" "Another product has this sku",
    CategoryNameTaken = 409 "category-name-taken" "A sibling category has this name",
    CategoryInUse = 409 "category-in-use" "Products or categories are still in this category",
    CategoryRetired = 409 "category-retired" "This category was retired",
    CategoryCycle = 409 "category-cycle" "A category cannot be below itself",
    CategoryTooDeep = 409 "category-too-deep" "The tree is at most 8 levels deep",
    UnknownCategory = 409 "unknown-category" "A named category does not exist",
    InsufficientStock = 409 "insufficient-stock" "There are not that many units available",
    StockOverflow = 409 "stock-overflow" "The stock would grow beyond what can be counted",
    VersionMismatch = 412 "version-mismatch" "The resource has changed since the version you saw",
    BodyTooLarge = 413 "body-too-large" "The body is larger than is taken here",
    UnsupportedMediaType = 415 "unsupported-media-type" "The body is not of a type taken here",
    Validation = 422 "validation" "The request does not fit the schema",
    IdempotencyKeyReused = 422 "idempotency-key-reused" "The key was used for another request",
    PreconditionRequired = 428 "precondition-required" "If-Match is required",
    TooManyRequests = 429 "too-many-requests" "Too many requests",
    Internal = 500 "internal" "Something went wrong on our side",
    NotYetVisible = 503 "not-yet-visible" "What you wrote or saw cannot be shown yet",
    SubjectHeld = 503 "subject-held" "This document waits for an operator",
    DependencyUnavailable = 503 "dependency-unavailable" "A server behind this one is away",
    OutcomeUnknown = 503 "outcome-unknown" "The connection was lost while committing",
}

impl ProblemType {
    /// The `type` member.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.name())
    }
}

/// An error as the client sees it: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `/problems/<name>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// The path that was asked; filled in where the problem is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Members of the type: `errors`, `current_version`, `retry_after_ms`, `lanes_behind` …
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

/// One broken rule of a body, at a JSON pointer into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// RFC 6901; empty for the whole body.
    pub pointer: String,
    pub message: String,
}

impl Violation {
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

impl Problem {
    pub fn new(problem_type: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            type_uri: problem_type.uri(),
            title: problem_type.title().to_owned(),
            status: problem_type.status(),
            detail: detail.into(),
            instance: None,
            members: Map::new(),
        }
    }

    /// Adds a member of the type.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("members are plain data");
        self.members.insert(member.to_owned(), value);
        self
    }

    /// 422 with every violation that was found.
    pub fn validation(violations: &[Violation]) -> Self {
        Self::new(
            ProblemType::Validation,
            "one or more members are not acceptable",
        )
        .with("errors", violations)
    }

    pub fn retry_after_ms(self, milliseconds: u64) -> Self {
        self.with("retry_after_ms", milliseconds)
    }

    /// True when this is a problem of that type.
    pub fn is(&self, problem_type: ProblemType) -> bool {
        self.type_uri == problem_type.uri()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_members_beside_the_standard_ones() {
        let problem =
            Problem::new(ProblemType::VersionMismatch, "stale").with("current_version", 4);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "/problems/version-mismatch");
        assert_eq!(json["status"], 412);
        assert_eq!(json["current_version"], 4);
    }

    #[test]
    fn every_problem_type_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = ProblemType::ALL
            .iter()
            .map(|problem_type| problem_type.name())
            .collect();
        assert_eq!(names.len(), ProblemType::ALL.len());
    }
}
