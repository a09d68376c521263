//! The query side: answers reads from Elasticsearch, never older than the tidemark that asks.
//!
//! `http` extracts and answers, `freshness` holds the read ladder, `search` makes request bodies as
//! pure functions. Nothing here writes anywhere.

mod admission;
pub mod config;
pub mod freshness;
pub mod http;
pub mod metrics;
pub mod present;
mod readiness;
pub mod search;
mod service;
mod start;

pub use service::{QueryService, RunError};
