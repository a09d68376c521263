//! The options of a read: the client's tidemark, how long it may wait, and what is read.

use std::time::Duration;

use chassis::prefer::Prefer;
use chassis::tidemark::{Presented, Session};
use schemas::view::View;
use uuid::Uuid;

use super::judge::Gap;
use crate::config::{DEFAULT_WAIT, READ_TIMEOUT};

/// From a request: the tidemark it presents, its preferences, and the tidemark of its answer.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    pub presented: Presented,
    pub prefer: Prefer,
    pub session: Session,
}

/// What an endpoint reads.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// A label in metrics.
    pub endpoint: &'static str,
    pub views: &'static [View],
    /// None for a search.
    pub target: Option<Target>,
}

/// One document of a view, and the subject whose lane holds its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub id: Uuid,
    pub subject: Uuid,
}

impl ReadOptions {
    /// How long the request may take in all.
    pub fn budget(&self) -> Duration {
        self.prefer.wait.unwrap_or(DEFAULT_WAIT) + READ_TIMEOUT
    }

    /// How long to wait for the gap to close. A stalled lane is waited for only if the client says
    /// how long: another projector may take it over in that time.
    pub fn patience(&self, gap: &Gap) -> Duration {
        match self.prefer.wait {
            Some(wait) => wait,
            None if gap.stalled => Duration::ZERO,
            None => DEFAULT_WAIT,
        }
    }
}

impl Target {
    /// A document whose id is its subject, such as a product.
    pub fn of_subject(subject: impl Into<Uuid>) -> Self {
        let subject = subject.into();
        let id = subject;
        Self { id, subject }
    }
}

impl Reading {
    /// A search in these views.
    pub fn search(endpoint: &'static str, views: &'static [View]) -> Self {
        Self {
            endpoint,
            views,
            target: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use schemas::id::Epoch;
    use schemas::tidemark::Tidemark;

    use super::*;

    const ASKED: Option<Duration> = Some(Duration::from_secs(5));

    #[rstest]
    #[case::moving(None, false, DEFAULT_WAIT)]
    #[case::stalled(None, true, Duration::ZERO)]
    #[case::moving_and_asked(ASKED, false, Duration::from_secs(5))]
    #[case::stalled_and_asked(ASKED, true, Duration::from_secs(5))]
    #[case::asked_not_to(Some(Duration::ZERO), false, Duration::ZERO)]
    fn a_read_waits_as_long_as_asked_and_by_default_only_for_lanes_that_move(
        #[case] wait: Option<Duration>,
        #[case] stalled: bool,
        #[case] patience: Duration,
    ) {
        let options = ReadOptions {
            presented: Presented {
                tidemark: Tidemark::new(Epoch(1)),
                tokens: 1,
                foreign: Vec::new(),
            },
            prefer: Prefer {
                wait,
                handling: None,
            },
            session: Session::default(),
        };
        let gap = Gap {
            stalled,
            ..Gap::default()
        };
        assert_eq!(options.patience(&gap), patience);
    }
}
