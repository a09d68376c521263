//! What can go wrong with Elasticsearch, by what a caller can do about it.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, thiserror::Error)]
pub enum ElasticsearchError {
    /// Away, overloaded or too slow: the same call may succeed later. Its outcome is unknown.
    #[error("elasticsearch {operation}: unavailable: {reason}")]
    Unavailable {
        operation: &'static str,
        reason: String,
        #[source]
        source: Option<::elasticsearch::Error>,
    },
    /// The search missed shards or ran out of time; partial answers are not given.
    #[error(
        "elasticsearch {operation}: incomplete: {failed_shards} shards failed, timed out: {timed_out}"
    )]
    Incomplete {
        operation: &'static str,
        failed_shards: u32,
        timed_out: bool,
    },
    /// The server does not accept who asks. An operator grants what is missing, and then the same
    /// call succeeds.
    #[error("elasticsearch {operation}: refused with {status}: {reason}")]
    Denied {
        operation: &'static str,
        status: u16,
        reason: String,
    },
    /// No such index, or the point in time is gone.
    #[error("elasticsearch {operation}: not found: {reason}")]
    NotFound {
        operation: &'static str,
        reason: String,
    },
    /// A newer version is there already.
    #[error("elasticsearch {operation}: conflict: {reason}")]
    Conflict {
        operation: &'static str,
        reason: String,
    },
    #[error("elasticsearch {operation}: the index exists already")]
    AlreadyExists { operation: &'static str },
    /// A mistake of ours: it would be refused again.
    #[error("elasticsearch {operation}: refused with {status} {error_type}: {reason}")]
    Rejected {
        operation: &'static str,
        status: u16,
        error_type: String,
        reason: String,
    },
    #[error("elasticsearch {operation}: read the answer")]
    Unreadable {
        operation: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

/// `error` of an answer: an object, or a bare text from a proxy or an old API.
#[derive(Debug, Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    error: Value,
}

impl ElasticsearchError {
    /// True where the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Incomplete { .. } | Self::Denied { .. }
        )
    }

    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// True where there was no connection, or it broke: nothing else will come through either. A
    /// slow or overloaded server is not that.
    pub fn is_unreachable(&self) -> bool {
        let Self::Unavailable { source, .. } = self else {
            return false;
        };
        source.as_ref().is_some_and(|source| !source.is_timeout())
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. })
    }

    /// For `/readyz`: no addresses, no names.
    pub fn outline(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "elasticsearch refuses who asks",
            Self::Rejected { .. } | Self::Unreadable { .. } => "elasticsearch refuses to answer",
            _ => "elasticsearch does not answer",
        }
    }

    /// The label in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Incomplete { .. } => "incomplete",
            Self::Denied { .. } => "denied",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::AlreadyExists { .. } => "already_exists",
            Self::Rejected { .. } => "rejected",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    pub(super) fn unreachable(operation: &'static str, source: ::elasticsearch::Error) -> Self {
        let reason = if source.is_timeout() {
            "timed out"
        } else {
            "no connection"
        }
        .to_owned();
        Self::Unavailable {
            operation,
            reason,
            source: Some(source),
        }
    }

    pub(super) fn aborted(operation: &'static str) -> Self {
        let reason = "the runtime is ending".to_owned();
        Self::Unavailable {
            operation,
            reason,
            source: None,
        }
    }

    pub(super) fn incomplete(operation: &'static str, failed_shards: u32, timed_out: bool) -> Self {
        Self::Incomplete {
            operation,
            failed_shards,
            timed_out,
        }
    }

    pub(super) fn of_answer(operation: &'static str, status: u16, body: &[u8]) -> Self {
        let error = serde_json::from_slice(body)
            .unwrap_or(ErrorAnswer { error: Value::Null })
            .error;
        Self::of_error(operation, status, &error)
    }

    /// Of a status and the `error` beside it, of a whole answer or a part of one.
    pub(super) fn of_error(operation: &'static str, status: u16, error: &Value) -> Self {
        let error_type = error["type"].as_str().unwrap_or_default().to_owned();
        let reason = explain(error);
        match status {
            404 => Self::NotFound { operation, reason },
            409 => Self::Conflict { operation, reason },
            400 if error_type == "resource_already_exists_exception" => {
                Self::AlreadyExists { operation }
            }
            403 if error_type == "cluster_block_exception" => Self::Unavailable {
                operation,
                reason,
                source: None,
            },
            401 | 403 => Self::Denied {
                operation,
                status,
                reason,
            },
            408 | 429 | 502 | 503 | 504 => Self::Unavailable {
                operation,
                reason,
                source: None,
            },
            _ => Self::Rejected {
                operation,
                status,
                error_type,
                reason,
            },
        }
    }
}

/// The reason of the root cause, which says more than that of the whole.
fn explain(error: &Value) -> String {
    let root = &error["root_cause"][0]["reason"];
    let reason = root
        .as_str()
        .or(error["reason"].as_str())
        .or(error.as_str());
    reason.unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(404, "index_not_found_exception", "not_found")]
    #[case(409, "version_conflict_engine_exception", "conflict")]
    #[case(400, "resource_already_exists_exception", "already_exists")]
    #[case(400, "parsing_exception", "rejected")]
    #[case(429, "es_rejected_execution_exception", "unavailable")]
    #[case(401, "security_exception", "denied")]
    #[case(403, "security_exception", "denied")]
    #[case(403, "cluster_block_exception", "unavailable")]
    #[case(503, "cluster_block_exception", "unavailable")]
    #[case(500, "search_phase_execution_exception", "rejected")]
    fn a_status_and_type_have_one_meaning(
        #[case] status: u16,
        #[case] error_type: &str,
        #[case] name: &str,
    ) {
        let body = json!({"error": {"type": error_type, "reason": "because"}, "status": status});
        let error = ElasticsearchError::of_answer("test", status, body.to_string().as_bytes());
        assert_eq!(error.name(), name);
    }

    #[test]
    fn an_answer_that_is_no_json_still_has_a_meaning() {
        let error = ElasticsearchError::of_answer("test", 502, b"<html>bad gateway</html>");
        assert!(error.is_transient());
    }
}
