//! The operator's command line: the local stack with its services, and what an operator does with a
//! running Tidemark. The servers below it are `testbed`'s.

pub mod access;
pub mod bench;
pub mod cli;
pub mod client;
pub mod command;
pub mod operation;
pub mod output;
pub mod service;
pub mod shop;
