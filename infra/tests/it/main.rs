//! What an operator uses, on real servers and services, and the rules of alerts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod compose;
mod deployment;
mod servers;
mod watch;
