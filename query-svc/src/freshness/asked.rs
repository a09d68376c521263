//! What a request asks of the ladder: its tidemark, how long it may wait, and which views it reads.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use chassis::auth::Principal;
use chassis::prefer::Prefer;
use chassis::problem::ApiError;
use chassis::tidemark::{Presented, Session};
use futures::future::{Ready, ready};
use schemas::view::View;
use uuid::Uuid;

use super::judge::{Gap, Target};

/// How long a read waits that does not say.
const DEFAULT_WAIT: Duration = Duration::from_millis(500);
/// What a request may take beside its wait.
const WORK: Duration = Duration::from_secs(2);

/// Extracted from a request: take it in place of `Presented`, `Prefer` and `Session`.
#[derive(Debug, Clone)]
pub struct Asked {
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
    pub target: Target,
}

impl Asked {
    /// All that the request may take.
    pub fn budget(&self) -> Duration {
        self.prefer.wait.unwrap_or(DEFAULT_WAIT) + WORK
    }

    /// How long it is worth waiting for the gap to close: not at all where nothing moves, unless
    /// the client said how long. Another owner may take over meanwhile.
    pub fn patience(&self, gap: &Gap) -> Duration {
        match self.prefer.wait {
            Some(wait) => wait,
            None if gap.stalled => Duration::ZERO,
            None => DEFAULT_WAIT,
        }
    }
}

impl FromRequest for Asked {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let principal = Principal::from_request(request, payload).into_inner();
        let presented = Presented::from_request(request, payload).into_inner();
        let Ok(session) = Session::from_request(request, payload).into_inner();
        // Everybody may read the catalogue, but a token that has expired is told so.
        ready(principal.and(presented).map(|presented| Self {
            presented,
            prefer: Prefer::parse(request.headers()),
            session,
        }))
    }
}

impl Reading {
    /// A read of one document, whose id is its subject.
    pub fn by_id(endpoint: &'static str, view: &'static View, id: impl Into<Uuid>) -> Self {
        Self {
            endpoint,
            views: std::slice::from_ref(view),
            target: Target::ById(id.into()),
        }
    }

    /// A read of whatever matches, in these views.
    pub fn search(endpoint: &'static str, views: &'static [View]) -> Self {
        Self {
            endpoint,
            views,
            target: Target::Search,
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
        let asked = Asked {
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
        assert_eq!(asked.patience(&gap), patience);
    }
}
