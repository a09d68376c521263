//! The write side of Tidemark: a command becomes rows and events in one transaction, or a refusal.
//!
//! Layers point one way: `http` → `execute` → `domain` and `store`; `parse` makes values of the
//! domain of what clients send. The domain is pure; the store holds all SQL; every answer says on
//! which positions of the log it was decided.

pub mod config;
pub mod domain;
pub mod execute;
pub mod http;
pub mod import;
pub mod metrics;
mod parse;
pub mod relay;
mod service;
pub mod start;
pub mod store;
pub mod topics;
pub mod upkeep;
pub mod verify;

pub use service::{CommandService, RunError};
