//! What went wrong in PostgreSQL, by SQLSTATE: the one place that matches them.

use deadpool_postgres::PoolError;
use deadpool_postgres::tokio_postgres::Error;
use deadpool_postgres::tokio_postgres::error::SqlState;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Somebody holds the lock for too long: try again within the budget.
    LockTimeout,
    /// Picked as the victim: try again within the budget.
    Deadlock,
    Serialization,
    UniqueViolation,
    /// The server or the way to it is gone. After a commit was sent, its outcome is unknown.
    ConnectionLost,
    /// A statement, transaction or idle time-out ended it.
    Timeout,
    /// A mistake of ours.
    Other,
}

impl Fault {
    /// True where the same transaction may succeed a moment later, and nothing was committed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::LockTimeout | Self::Deadlock | Self::Serialization
        )
    }

    /// True where the server, not the statement, is to blame.
    pub fn is_unavailable(self) -> bool {
        matches!(self, Self::ConnectionLost | Self::Timeout)
    }

    /// The label in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::LockTimeout => "lock_timeout",
            Self::Deadlock => "deadlock",
            Self::Serialization => "serialization",
            Self::UniqueViolation => "unique_violation",
            Self::ConnectionLost => "connection_lost",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }
}

pub fn classify(error: &Error) -> Fault {
    match error.code() {
        Some(state) => of_state(state),
        None if error.is_closed() || is_network(error) => Fault::ConnectionLost,
        None => Fault::Other,
    }
}

/// The SQLSTATE, for logs.
pub fn code(error: &Error) -> Option<&str> {
    error.code().map(SqlState::code)
}

fn of_state(state: &SqlState) -> Fault {
    match state.code() {
        "55P03" => Fault::LockTimeout,
        "40P01" => Fault::Deadlock,
        "40001" => Fault::Serialization,
        "23505" => Fault::UniqueViolation,
        // query_canceled, idle_in_transaction_session_timeout, transaction_timeout
        "57014" | "25P03" | "25P04" => Fault::Timeout,
        // shutdowns, too many connections, starting up, and whatever breaks the connection
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" => Fault::ConnectionLost,
        other if other.starts_with("08") => Fault::ConnectionLost,
        _ => Fault::Other,
    }
}

/// Errors without SQLSTATE come from the socket, or from our own encoding.
fn is_network(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    // The kinds are private, their texts are not.
    let kind = error.to_string();
    [
        "error connecting to server",
        "error performing TLS handshake",
        "timeout waiting for server",
        "connection closed",
    ]
    .iter()
    .any(|network| kind.starts_with(network))
}

impl From<&PoolError> for Fault {
    fn from(error: &PoolError) -> Self {
        match error {
            PoolError::Backend(error) => classify(error),
            PoolError::Timeout(_) => Self::Timeout,
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::ConnectionLost
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("55P03", Fault::LockTimeout)]
    #[case("40P01", Fault::Deadlock)]
    #[case("40001", Fault::Serialization)]
    #[case("23505", Fault::UniqueViolation)]
    #[case("25P04", Fault::Timeout)]
    #[case("57P01", Fault::ConnectionLost)]
    #[case("08006", Fault::ConnectionLost)]
    #[case("42601", Fault::Other)]
    fn a_state_has_one_meaning(#[case] state: &str, #[case] fault: Fault) {
        assert_eq!(of_state(&SqlState::from_code(state)), fault);
    }
}
