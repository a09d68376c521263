//! The clients of this crate against real servers: what an error means is what the server says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use testbed::namespace::Namespace;
use testbed::stack::{self, SharedStack};

mod elasticsearch;
mod kafka;
mod postgres;
mod watermark_tail;

/// A corner of the shared stack, and the lease that keeps it up.
struct Corner {
    namespace: Namespace,
    _stack: SharedStack,
}

impl Corner {
    async fn take() -> Self {
        let stack = stack::shared().await.unwrap();
        let namespace = Namespace::create(stack.endpoints()).await.unwrap();
        Self {
            namespace,
            _stack: stack,
        }
    }
}
