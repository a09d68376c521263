//! What the owner of a private stack asks its supervisor, line by line as JSON over the pipe whose
//! end also ends the stack.

use serde::{Deserialize, Serialize};

use crate::server::Server;

/// One line of stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) action: Action,
    /// Absent: for the whole stack.
    pub(crate) server: Option<Server>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    Start,
    Stop,
    Kill,
    Pause,
    Resume,
}

/// One line of stdout, the answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) error: Option<String>,
}
