//! The rules of the catalogue: what a command may do to what is there, and what follows from it.
//!
//! Pure: no clock, no random, no IO, no logging; time and ids are arguments. One file an aggregate:
//! its state, its commands, its refusals, `decide` (state and command to events or a refusal) and
//! `evolve` (state and event to state). Texts and numbers of commands are parsed once, so none is
//! invalid.

pub mod category;
pub mod product;
pub mod stock;

pub mod aggregate;
pub mod attributes;
pub mod number;
pub mod refusal;
pub mod text;
pub mod violations;

pub use aggregate::Aggregate;
pub use refusal::{RefusalKind, Refuse};
pub use violations::Violations;
