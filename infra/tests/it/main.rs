//! The stack as its users see it: on real servers, waiting on conditions and never on time alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod analysis;
mod compose;
mod deployment;
mod local;
mod owner;
mod private;
mod requirements;
mod servers;
mod shared;
mod watch;
