//! The query side: answers reads from Elasticsearch, never older than the tidemark that asks.
//!
//! HTTP extracts and answers, `freshness` decides where a read stands and waits, `search` makes
//! pure request bodies. Nothing here writes anywhere.

pub mod config;
pub mod freshness;
mod gate;
pub mod http;
pub mod metrics;
pub mod present;
mod readiness;
pub mod search;
mod service;
mod start;

pub use service::{QueryService, RunError};
