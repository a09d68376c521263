//! query-svc on real servers: documents and watermarks are written as a projector would, and read
//! back over HTTP with tidemarks.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod keys;
mod ladder;
mod refusals;
mod search;
mod search_forms;
mod search_labels;
mod search_ladder;
mod search_lists;
mod search_pages;
mod search_quality;
mod search_tree;
mod shop;
mod standby;
mod tidemark;
mod waiting;
