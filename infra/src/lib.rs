//! The local stack (PostgreSQL, Kafka, Elasticsearch as plain processes) and the operator's command
//! line. Tests take a running stack from `stack::shared` and a corner of it from `Namespace`.

pub mod artifact;
pub mod bench;
pub mod cli;
pub mod command;
pub mod environment;
mod log;
pub mod namespace;
pub mod operation;
pub mod output;
mod ports;
mod process;
pub mod restart;
mod server;
pub mod service;
pub mod shop;
pub mod stack;
mod user;
