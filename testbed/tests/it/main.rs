//! Stacks as their users see them: on real servers, waiting on conditions and never on time alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod analysis;
mod local;
mod owner;
mod private;
mod requirements;
mod servers;
mod shared;
