//! The write side as a process, over real HTTP, on real PostgreSQL and Kafka.
//!
//! Each test has a database and topics of its own, so nothing of one is seen by another.

mod bad_input;
mod catalogue;
mod commit_loss;
mod concurrency;
mod conditions;
mod connections;
mod deadlines;
mod faults;
mod group_commit;
mod idempotency;
mod import;
mod import_faults;
mod import_limits;
mod import_text;
mod in_process;
mod keys;
mod log;
mod migrations;
mod proxy;
mod relay;
mod service;
mod text_keys;
mod tidemarks;
mod verify;
