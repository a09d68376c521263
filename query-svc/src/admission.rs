//! Access to Elasticsearch: a bounded number of reads at once, and none while it is unreachable.
//!
//! The queue is bounded in length and in time, so that a read that cannot run soon is refused at
//! once. The circuit breaker counts lost connections only: slow answers, rejected searches and
//! faults of one index concern the reads that met them.

use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use recloser::{AsyncRecloser, Recloser};
use tokio::sync::Semaphore;

use crate::config::{
    CIRCUIT_OPEN_TIME, CIRCUIT_SAMPLE, CIRCUIT_TRIAL, MAX_QUEUE_TIME, QUEUED_PER_CALLER,
};

#[derive(Debug)]
pub struct Admission {
    /// Reads that run or queue.
    room: Semaphore,
    /// Reads that run.
    turns: Semaphore,
    breaker: AsyncRecloser,
}

#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    #[error("too many reads are queued for elasticsearch")]
    QueueFull,
    #[error("the circuit to elasticsearch is open: recent connections failed")]
    CircuitOpen,
    #[error("elasticsearch did not answer before the read's deadline")]
    DeadlinePassed,
    #[error(transparent)]
    Elasticsearch(#[from] ElasticsearchError),
}

impl Admission {
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

    /// Runs the calls of one read when a turn is free, if that is before the deadline.
    pub async fn run<T>(
        &self,
        deadline: Deadline,
        calls: impl Future<Output = Result<T, ElasticsearchError>>,
    ) -> Result<T, AdmissionError> {
        let _room = self
            .room
            .try_acquire()
            .map_err(|_| AdmissionError::QueueFull)?;
        let queued = deadline.at_most(MAX_QUEUE_TIME);
        let turn = queued.run(self.turns.acquire()).await;
        let _turn = turn
            .map_err(|_| AdmissionError::QueueFull)?
            .expect("the semaphore is never closed");
        let timed = async {
            match deadline.run(calls).await {
                Ok(outcome) => outcome.map_err(AdmissionError::from),
                Err(_) => Err(AdmissionError::DeadlinePassed),
            }
        };
        match self
            .breaker
            .call_with(AdmissionError::is_connection_failure, timed)
            .await
        {
            Ok(answer) => Ok(answer),
            Err(recloser::Error::Inner(error)) => Err(error),
            Err(recloser::Error::Rejected) => Err(AdmissionError::CircuitOpen),
        }
    }
}

impl AdmissionError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Elasticsearch(error) if error.is_not_found())
    }

    /// True where a retry may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Elasticsearch(error) => error.is_transient(),
            Self::QueueFull | Self::CircuitOpen | Self::DeadlinePassed => true,
        }
    }

    /// What the circuit breaker counts.
    fn is_connection_failure(&self) -> bool {
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
    async fn a_read_that_gets_no_turn_in_time_is_refused() {
        let admission = Admission::new(1);
        let slow = admission.run(later(), slow());
        tokio::pin!(slow);
        assert!(futures::poll!(&mut slow).is_pending());
        let second = admission.run(later(), async { Ok(()) }).await;
        assert!(matches!(second, Err(AdmissionError::QueueFull)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_finds_the_queue_full_is_refused_at_once() {
        let admission = Admission::new(2);
        let mut queue: Vec<_> = (0..2 + 2 * QUEUED_PER_CALLER)
            .map(|_| Box::pin(admission.run(later(), slow())))
            .collect();
        for queued in &mut queue {
            assert!(futures::poll!(queued).is_pending());
        }
        let started = tokio::time::Instant::now();
        let last = admission.run(later(), async { Ok(()) }).await;
        assert!(matches!(last, Err(AdmissionError::QueueFull)));
        assert_eq!(started.elapsed(), Duration::ZERO);
        drop(queue);
        assert!(admission.run(later(), async { Ok(()) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_rejected_searches_do_not_open_the_circuit() {
        let admission = Admission::new(4 * CIRCUIT_SAMPLE);
        let late = join_all((0..3 * CIRCUIT_SAMPLE).map(|_| admission.run(soon(), slow()))).await;
        assert!(
            late.iter()
                .all(|late| matches!(late, Err(AdmissionError::DeadlinePassed)))
        );
        for _ in 0..3 * CIRCUIT_SAMPLE {
            let refused = admission
                .run(soon(), async { Err::<(), _>(overloaded()) })
                .await;
            assert!(matches!(refused, Err(AdmissionError::Elasticsearch(_))));
        }
        let other = admission.run(soon(), async { Ok(()) }).await;
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
    async fn failed_connections_open_the_circuit() {
        let admission = Admission::new(8);
        let unreachable = Elasticsearch::new("http://127.0.0.1:1", Duration::from_secs(5)).unwrap();
        for _ in 0..=CIRCUIT_SAMPLE {
            let failed = admission.run(later(), unreachable.ping()).await;
            assert!(matches!(failed, Err(AdmissionError::Elasticsearch(_))));
        }
        let refused = admission.run(later(), unreachable.ping()).await;
        assert!(
            matches!(refused, Err(AdmissionError::CircuitOpen)),
            "{refused:?}"
        );
    }
}
