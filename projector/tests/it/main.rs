//! The projector on real servers: events in the table and in Kafka, documents and watermarks out.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod builds;
mod by_hand;
mod copies;
mod fills;
mod following;
mod outages;
mod poison;
mod refreshes;
mod takeover;
mod world;
