//! Whatever crosses a process boundary, and nothing else: words, events, views, tokens, bodies.
//!
//! Everything here is pure. No clock, no random, no IO, no logging: time and ids are arguments,
//! so that every rule can be tested as a sentence and replayed years later to the same result.

pub mod event;
pub mod id;
pub mod lane;
pub mod money;
pub mod operations;
pub mod problem;
pub mod rest;
pub mod text;
pub mod tidemark;
pub mod topic;
pub mod upcast;
pub mod view;
pub mod watermark;
