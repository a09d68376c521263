//! Refusals: how the catalogue turns down a well-formed command.
//!
//! Each aggregate has its own, beside its rules. How they look over HTTP is said in `http`.

use std::fmt::Debug;

/// A business "no". Not an error: nothing went wrong, and asking again gives the same answer.
pub trait Refuse: Clone + PartialEq + Debug + Send + Sync {
    fn kind(&self) -> RefusalKind;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// What the command is about does not exist.
    NotFound,
    /// A rule of the business forbids it.
    Rule,
    /// The command has to be corrected, which only showed when it met what is there.
    Invalid,
}
