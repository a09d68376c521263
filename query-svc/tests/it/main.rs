//! query-svc on real servers: documents and watermarks are written as a projector would, and read
//! back over HTTP with tidemarks.

mod ladder;
mod refusals;
mod search_quality;
mod shop;
mod tidemark;
