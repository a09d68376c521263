//! The projector: folds the log of events into views, and says how far each lane can be searched.
//!
//! Data flows one way: events in, documents and watermarks out. It may be killed at any instruction
//! and run in any number of replicas: external versions make repeated work void, and a watermark
//! never passes what a search shows.

pub mod config;

pub mod project;

pub mod consume;
pub mod cycle;
pub mod fill;
pub mod sink;

pub mod build_id;
pub mod builds;
pub mod checkpoint;
pub mod dead_letter;
pub mod lag;
pub mod publish;

pub mod board;
pub mod cache;
mod crash;
mod ending;
pub mod event_table;
pub mod heads;
pub mod http;
pub mod indexes;
pub mod metrics;
mod service;
mod start;
pub mod version;

pub use ending::Ending;
pub use service::{Projector, RunError};
