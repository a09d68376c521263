//! Bodies of the REST contract: what clients send and get. Shapes only; rules are command-svc's.

pub mod command;
pub mod import;
pub mod members;
pub mod query;
