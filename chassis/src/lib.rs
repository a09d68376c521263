//! What every service bolts to: configuration, telemetry, health, HTTP, and careful clients.
//!
//! Nothing here knows of products or orders. Each server behind a service (PostgreSQL,
//! Elasticsearch, Kafka) has one module that sets its time-outs and names its errors, so that no
//! caller can forget them.

pub mod config;

mod chain;
pub mod clock;
pub mod crash_point;
pub mod retry;
pub mod shutdown;
pub mod telemetry;

pub mod health;
pub mod metrics;

pub mod auth;
pub mod extract;
pub mod prefer;
pub mod problem;
pub mod routes;
pub mod server;
pub mod tidemark;

pub mod elasticsearch;
pub mod event_log;
pub mod kafka;
pub mod postgres;
pub mod tls;
pub mod watermark_tail;
