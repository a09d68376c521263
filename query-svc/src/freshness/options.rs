//! What a request asks of the ladder: its tidemark, how long it may wait, and which views it reads.

use std::time::Duration;

use chassis::prefer::Prefer;
use chassis::tidemark::{Presented, Session};
use schemas::view::View;
use uuid::Uuid;

use super::judge::Gap;
use crate::config::{DEFAULT_WAIT, READ_TIMEOUT};

/// What a request has seen, what it prefers, and the tidemark that its answer will carry.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    pub presented: Presented,
    pub prefer: Prefer,
    pub session: Session,
}

/// What an endpoint reads.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Label in metrics.
    pub endpoint: &'static str,
    pub views: &'static [View],
    /// The one document that is read; none where whatever matches is.
    pub target: Option<Target>,
}

/// One document of a view, and the subject in whose lane its events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub id: Uuid,
    pub subject: Uuid,
}

impl ReadOptions {
    /// All that the request may take.
    pub fn budget(&self) -> Duration {
        self.prefer.wait.unwrap_or(DEFAULT_WAIT) + READ_TIMEOUT
    }

    /// How long it is worth waiting for the gap to close: not at all where nothing moves, unless
    /// the client said how long. Another owner may take over in that time.
    pub fn patience(&self, gap: &Gap) -> Duration {
        match self.prefer.wait {
            Some(wait) => wait,
            None if gap.stalled => Duration::ZERO,
            None => DEFAULT_WAIT,
        }
    }
}

impl Target {
    /// The document whose id is its subject, as a product's page.
    pub fn of_subject(subject: impl Into<Uuid>) -> Self {
        let subject = subject.into();
        let id = subject;
        Self { id, subject }
    }
}

impl Reading {
    /// A read of whatever matches, in these views.
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
    fn a_read_waits_as_long_as_asked_or_where_it_is_worth_it(
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
