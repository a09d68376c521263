//! The way to Elasticsearch: so many requests at once, and none while it is known to be away.
//!
//! Whoever does not get through in time is told when to come back; nothing queues without a bound.

use std::time::Duration;

use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use chassis::problem::ApiError;
use recloser::{AsyncRecloser, Recloser};
use schemas::problem::{Problem, ProblemType};
use tokio::sync::Semaphore;

use crate::metrics;

/// The longest that a request queues for its turn.
const QUEUE: Duration = Duration::from_secs(1);
/// How long nothing is tried once most calls have failed.
const OPEN: Duration = Duration::from_millis(500);
const CALLS_JUDGED: usize = 20;
const CALLS_ON_TRIAL: usize = 3;
const RETRY_MS: u64 = 1_000;

#[derive(Debug)]
pub struct Gate {
    turns: Semaphore,
    breaker: AsyncRecloser,
}

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error("too many requests are waiting for elasticsearch")]
    Full,
    #[error("elasticsearch has just failed too often")]
    Open,
    #[error("elasticsearch did not answer within the request's time")]
    Late,
    #[error(transparent)]
    Elasticsearch(#[from] ElasticsearchError),
}

impl Gate {
    pub fn new(turns: usize) -> Self {
        let breaker = Recloser::custom()
            .error_rate(0.5)
            .closed_len(CALLS_JUDGED)
            .half_open_len(CALLS_ON_TRIAL)
            .open_wait(OPEN)
            .build();
        Self {
            turns: Semaphore::new(turns.max(1)),
            breaker: breaker.into(),
        }
    }

    /// Runs the calls once it is their turn, if they can be in time.
    pub async fn pass<T>(
        &self,
        deadline: Deadline,
        calls: impl Future<Output = Result<T, ElasticsearchError>>,
    ) -> Result<T, GateError> {
        let turn = deadline.at_most(QUEUE).run(self.turns.acquire()).await;
        let _turn = turn
            .map_err(|_| GateError::Full)?
            .expect("the gate is never closed");
        let timed = async {
            match deadline.run(calls).await {
                Ok(outcome) => outcome.map_err(GateError::from),
                Err(_) => Err(GateError::Late),
            }
        };
        match self.breaker.call_with(GateError::is_failure, timed).await {
            Ok(answer) => Ok(answer),
            Err(recloser::Error::Inner(error)) => Err(error),
            Err(recloser::Error::Rejected) => Err(GateError::Open),
        }
    }
}

impl GateError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Elasticsearch(error) if error.is_not_found())
    }

    /// What speaks against Elasticsearch as a whole.
    fn is_failure(&self) -> bool {
        match self {
            Self::Elasticsearch(error) => error.is_transient(),
            Self::Late => true,
            Self::Full | Self::Open => false,
        }
    }
}

impl From<GateError> for ApiError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Full => {
                metrics::count_shed();
                let detail = "more requests are waiting than can be answered in time";
                let problem =
                    Problem::new(ProblemType::TooManyRequests, detail).retry_after_ms(RETRY_MS);
                Self::from(problem).caused_by(error)
            }
            GateError::Elasticsearch(error) if !error.is_transient() => Self::internal(error),
            away => Self::unavailable("elasticsearch", away),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Deadline {
        Deadline::within(Duration::from_millis(50))
    }

    #[tokio::test]
    async fn who_does_not_get_a_turn_in_time_is_sent_away() {
        let gate = Gate::new(1);
        let slow = gate.pass(
            Deadline::within(QUEUE),
            std::future::pending::<Result<(), _>>(),
        );
        tokio::pin!(slow);
        assert!(futures::poll!(&mut slow).is_pending());
        let second = gate.pass(soon(), async { Ok(()) }).await;
        assert!(matches!(second, Err(GateError::Full)));
    }

    #[tokio::test]
    async fn after_too_many_failures_nothing_is_tried_for_a_while() {
        let gate = Gate::new(8);
        for _ in 0..CALLS_JUDGED {
            let failed = gate.pass(soon(), failing()).await;
            assert!(matches!(failed, Err(GateError::Elasticsearch(_))));
        }
        let _ = gate.pass(soon(), failing()).await;
        let spared = gate.pass(soon(), failing()).await;
        assert!(matches!(spared, Err(GateError::Open)), "{spared:?}");
    }

    async fn failing() -> Result<(), ElasticsearchError> {
        Err(ElasticsearchError::Unavailable {
            operation: "test",
            reason: "on purpose".to_owned(),
            source: None,
        })
    }
}
