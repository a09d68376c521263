//! Stories against real processes: a stack of servers, replicas of every service, clients that keep
//! their tidemark, and faults.
//!
//! Nothing of Tidemark is called in-process here: what is told is told over HTTP, to programs that
//! can be killed, paused and started again.

pub mod certificates;
pub mod log;
pub mod logs;
pub mod programs;
pub mod shop;
pub mod world;

pub use infra::client;
