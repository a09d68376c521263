//! PostgreSQL, Kafka and Elasticsearch as plain processes on loopback, for tests and for `tidemark
//! up`. Tests take a running stack from `stack::shared` and a corner of it from `Namespace`.
//!
//! This crate knows nothing of Tidemark's services: they, and what they share, are tested with it.

pub mod artifact;
pub mod cli;
pub mod command;
mod endpoints;
pub mod environment;
pub mod log;
pub mod namespace;
pub mod output;
pub mod ports;
pub mod process;
pub mod program;

pub mod restart;
mod security;
mod server;
pub mod stack;
mod user;
mod wait;

pub use wait::eventually;
