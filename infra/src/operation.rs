//! What operators ask of a running Tidemark, beside starting and stopping it.

pub mod connection;
pub mod replay;
