//! The projector on real servers: events in the table and in Kafka, documents and watermarks out.

mod following;
mod poison;
mod takeover;
mod world;
