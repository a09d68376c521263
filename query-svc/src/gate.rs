//! The way to Elasticsearch: a bounded number of requests at once, and none while it is away.
//!
//! The queue is bounded in length and in time, so a request that cannot get through soon is told at
//! once when to come back. Only a lost connection speaks against the server as a whole: slow
//! answers, an overloaded search or a sick index are the matter of those who ask for them.

use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use recloser::{AsyncRecloser, Recloser};
use tokio::sync::Semaphore;

use crate::config::{
    CIRCUIT_OPEN_TIME, CIRCUIT_SAMPLE, CIRCUIT_TRIAL, MAX_QUEUE_TIME, QUEUED_PER_CALLER,
};

#[derive(Debug)]
pub struct Gate {
    /// Under way and queued.
    room: Semaphore,
    /// Under way.
    turns: Semaphore,
    breaker: AsyncRecloser,
}

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error("too many requests are waiting for elasticsearch")]
    Full,
    #[error("elasticsearch could not be reached just now")]
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
            .closed_len(CIRCUIT_SAMPLE)
            .half_open_len(CIRCUIT_TRIAL)
            .open_wait(CIRCUIT_OPEN_TIME)
            .build();
        let turns = turns.clamp(1, Semaphore::MAX_PERMITS / (1 + QUEUED_PER_CALLER));
        Self {
            room: Semaphore::new(turns * (1 + QUEUED_PER_CALLER)),
            turns: Semaphore::new(turns),
            breaker: breaker.into(),
        }
    }

    /// Runs the calls once it is their turn, if they can be in time.
    pub async fn pass<T>(
        &self,
        deadline: Deadline,
        calls: impl Future<Output = Result<T, ElasticsearchError>>,
    ) -> Result<T, GateError> {
        let _room = self.room.try_acquire().map_err(|_| GateError::Full)?;
        let queued = deadline.at_most(MAX_QUEUE_TIME);
        let turn = queued.run(self.turns.acquire()).await;
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

    /// True where the same calls may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Elasticsearch(error) => error.is_transient(),
            Self::Full | Self::Open | Self::Late => true,
        }
    }

    /// What speaks against Elasticsearch as a whole.
    fn is_failure(&self) -> bool {
        matches!(self, Self::Elasticsearch(error) if error.is_unreachable())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::elasticsearch::Elasticsearch;
    use futures::future::join_all;

    use super::*;

    fn soon() -> Deadline {
        Deadline::within(Duration::from_millis(50))
    }

    fn later() -> Deadline {
        Deadline::within(Duration::from_secs(60))
    }

    async fn slow() -> Result<(), ElasticsearchError> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gets_no_turn_in_time_is_sent_away() {
        let gate = Gate::new(1);
        let slow = gate.pass(later(), slow());
        tokio::pin!(slow);
        assert!(futures::poll!(&mut slow).is_pending());
        let second = gate.pass(later(), async { Ok(()) }).await;
        assert!(matches!(second, Err(GateError::Full)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_finds_the_queue_full_is_sent_away_at_once() {
        let gate = Gate::new(2);
        let mut queue: Vec<_> = (0..2 + 2 * QUEUED_PER_CALLER)
            .map(|_| Box::pin(gate.pass(later(), slow())))
            .collect();
        for one in &mut queue {
            assert!(futures::poll!(one).is_pending());
        }
        let started = tokio::time::Instant::now();
        let one_more = gate.pass(later(), async { Ok(()) }).await;
        assert!(matches!(one_more, Err(GateError::Full)));
        assert_eq!(started.elapsed(), Duration::ZERO);
        drop(queue);
        assert!(gate.pass(later(), async { Ok(()) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_answers_are_nobody_elses_matter() {
        let gate = Gate::new(4 * CIRCUIT_SAMPLE);
        let late = join_all((0..3 * CIRCUIT_SAMPLE).map(|_| gate.pass(soon(), slow()))).await;
        assert!(late.iter().all(|late| matches!(late, Err(GateError::Late))));
        for _ in 0..3 * CIRCUIT_SAMPLE {
            let refused = gate
                .pass(soon(), async { Err::<(), _>(overloaded()) })
                .await;
            assert!(matches!(refused, Err(GateError::Elasticsearch(_))));
        }
        let other = gate.pass(soon(), async { Ok(()) }).await;
        assert!(other.is_ok(), "{other:?}");
    }

    fn overloaded() -> ElasticsearchError {
        ElasticsearchError::Unavailable {
            operation: "test",
            reason: "es_rejected_execution_exception".to_owned(),
            source: None,
        }
    }

    #[tokio::test]
    async fn while_no_connection_can_be_made_nothing_is_tried() {
        let gate = Gate::new(8);
        let nobody = Elasticsearch::new("http://127.0.0.1:1", Duration::from_secs(5)).unwrap();
        for _ in 0..=CIRCUIT_SAMPLE {
            let failed = gate.pass(later(), nobody.ping()).await;
            assert!(matches!(failed, Err(GateError::Elasticsearch(_))));
        }
        let spared = gate.pass(later(), nobody.ping()).await;
        assert!(matches!(spared, Err(GateError::Open)), "{spared:?}");
    }
}
