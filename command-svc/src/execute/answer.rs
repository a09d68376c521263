//! The answer to a command: the current representation, or a problem.
//!
//! How a state and its refusals look to clients is said in `http`, beside the routes of each.

use chassis::problem::PROBLEM_JSON;
use schemas::problem::{Problem, ProblemType};
use serde::Serialize;

use crate::store::idempotency::SentAnswer;
use crate::store::{Stored, Tracked};

/// How a refusal looks to clients.
pub trait ToProblem {
    fn to_problem(&self) -> Problem;
}

/// How a state looks to clients.
pub trait Resource: Tracked<Refusal: ToProblem> {
    /// As the contract has it.
    type Body: Serialize;

    /// The path at which it is found; none of a part of another resource.
    fn location(&self) -> Option<String>;

    fn present(&self, context: &Self::Context) -> Self::Body;
}

/// An answer in full: the same answer again is the same status, body and headers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Created(Representation),
    /// The current one, changed by this command or not.
    Current(Representation),
    /// A refusal, or another version than was expected.
    Refused(Problem),
    /// As it was kept under an idempotency key.
    Kept(SentAnswer),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Representation {
    /// What it is of.
    pub(super) kind: &'static str,
    pub(super) location: Option<String>,
    pub(super) version: u64,
    /// JSON.
    pub(super) body: Vec<u8>,
}

impl Representation {
    pub(super) fn of<A: Resource>(stored: &Stored<A>, context: &A::Context) -> Self {
        Self {
            kind: A::STREAM.name(),
            location: stored.value.location(),
            version: stored.version,
            body: to_json(&stored.value.present(context)),
        }
    }

    fn into_sent(self, status: u16, location: Option<String>) -> SentAnswer {
        let header = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![
            header("content-type", "application/json".to_owned()),
            header("etag", format!("\"{}\"", self.version)),
        ];
        headers.extend(location.map(|location| header("location", location)));
        SentAnswer {
            status,
            headers,
            body: self.body,
        }
    }
}

impl Answer {
    pub(super) fn refused(refusal: &impl ToProblem) -> Self {
        Self::Refused(refusal.to_problem())
    }

    pub(super) fn mismatch(current_version: u64) -> Self {
        let detail = "If-Match names another version than the current one";
        let problem = Problem::new(ProblemType::VersionMismatch, detail)
            .with("current_version", current_version);
        Self::Refused(problem)
    }

    /// To a creation that expects something to be there.
    pub(super) fn nothing_to_match() -> Self {
        let detail = "If-Match expects a resource, and this request makes one";
        Self::Refused(Problem::new(ProblemType::VersionMismatch, detail))
    }

    /// As the client gets it; `path` is what it asked for.
    pub fn into_sent(self, path: &str) -> SentAnswer {
        match self {
            Self::Created(mut made) => {
                let location = made.location.take();
                made.into_sent(201, location)
            }
            Self::Current(current) => current.into_sent(200, None),
            Self::Refused(mut problem) => {
                problem.instance = Some(path.to_owned());
                SentAnswer {
                    status: problem.status,
                    headers: vec![("content-type".to_owned(), PROBLEM_JSON.to_owned())],
                    body: to_json(&problem),
                }
            }
            Self::Kept(sent) => sent,
        }
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers are plain data")
}
