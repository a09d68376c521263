//! `fill`: reading the event table, which holds what Kafka may have lost or not brought yet.
//!
//! One mechanism for first start, restart, gap, catch-up and replay. Pages are bounded by rows and
//! bytes. A lane that a build has nothing of is read subject by subject instead, so that each
//! document is written once.

mod broadcasts;
mod bulks;
mod context;
mod fresh;
mod lane;
mod offender;
mod page;
mod rows;
mod subject;
mod subject_log;
mod subject_pages;

pub use context::{FillContext, FillPermits, LaneAssignment};
pub use fresh::{FillReport, Filled, FreshFill};
pub use page::{Extent, Page, Wanted, read_page};
pub(crate) use subject_log::SubjectLog;
