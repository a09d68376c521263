//! What operators are told of the pipeline: lag, builds, dead letters.
//!
//! Served by the projector as JSON, and read by the command line and by monitoring. Said once, so
//! that a word means the same wherever it is shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub mod build;
pub mod dead_letter;
pub mod lag;

pub use build::{BuildPhase, BuildStatus};
pub use dead_letter::DeadLetter;
pub use lag::{BuildLag, LagReport, LaneHealth, LaneLag, ViewLag};

/// The answer of `/v1/builds` and `/v1/dead-letters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing<T> {
    pub items: Vec<T>,
}
