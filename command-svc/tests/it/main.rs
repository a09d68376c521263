//! The write side as a process, over real HTTP, on real PostgreSQL and Kafka.
//!
//! Each test has a database and topics of its own, so nothing of one is seen by another.

mod bad_input;
mod catalogue;
mod concurrency;
mod conditions;
mod faults;
mod group_commit;
mod idempotency;
mod import;
mod log;
mod relay;
mod service;
mod tidemarks;
mod verify;
