//! How the ladder says no: each time with when to come back, or that it is in vain.

use chassis::problem::ApiError;
use schemas::problem::{Problem, ProblemType};

use super::judge::Gap;

/// A moment: the lanes move.
const SOON_MS: u64 = 250;
/// Until another owner may have taken over.
const LATER_MS: u64 = 1_000;

pub(super) fn not_yet_visible(gap: &Gap) -> ApiError {
    let detail = if gap.without_build {
        "no build of this view can be read yet"
    } else if gap.lanes.is_empty() {
        "this replica is behind the one that answered you last"
    } else {
        "what you wrote or saw is not visible here yet"
    };
    let wait = if gap.stalled { LATER_MS } else { SOON_MS };
    Problem::new(ProblemType::NotYetVisible, detail)
        .retry_after_ms(wait)
        .with("lanes_behind", &gap.lanes)
        .into()
}

pub(super) fn too_many_foreign() -> ApiError {
    let detail = "too many reads wait for what a tidemark of another history stands for";
    Problem::new(ProblemType::NotYetVisible, detail)
        .retry_after_ms(LATER_MS)
        .into()
}

pub(super) fn subject_held() -> ApiError {
    let detail = "a later change of this document waits for an operator";
    Problem::new(ProblemType::SubjectHeld, detail)
        .retry_after_ms(LATER_MS)
        .into()
}

pub(super) fn history_changed() -> ApiError {
    let detail = "the tidemark names events that this history does not have; go on with \
                  the tidemark of this answer";
    ApiError::new(ProblemType::HistoryChanged, detail)
}
