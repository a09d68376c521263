//! What operators ask of a running Tidemark, and what starting and stopping it takes.

pub mod connection;
pub mod deployment;
pub mod health;
pub mod import;
pub mod lag;
mod readiness;
pub mod replay;
pub mod rest;
pub mod services;
pub mod verify;
pub mod visible;
pub(crate) mod watcher;
