//! What readiness and the alert say of Elasticsearch: reached, away, or refusing who asks.
//!
//! A ping may be allowed where writes are not, so a denial counts until none has come for a while.

use std::sync::{Arc, Mutex};

use chassis::clock;
use chassis::health::Probe;
use tokio::time::Instant;

use crate::config::DENIAL_LASTS;

const AWAY: &str = "elasticsearch does not answer";
const DENIED: &str = "elasticsearch refuses who asks";

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Access {
    probe: Probe,
    denied_at: Arc<Mutex<Option<Instant>>>,
}

impl Access {
    pub(super) fn new(probe: Probe) -> Self {
        Self {
            probe,
            denied_at: Arc::default(),
        }
    }

    pub(super) fn is_away(&self) {
        self.probe.down(AWAY);
    }

    /// A request, or a part of one, was not allowed.
    pub(super) fn is_denied(&self) {
        *self
            .denied_at
            .lock()
            .expect("no holder of this lock panics") = Some(clock::instant());
        self.probe.down(DENIED);
    }

    /// Elasticsearch answered a ping, or did not, for this reason.
    pub(super) fn pinged(&self, fault: Option<&'static str>) {
        let denied_at = *self
            .denied_at
            .lock()
            .expect("no holder of this lock panics");
        match fault {
            Some(reason) => self.probe.down(reason),
            None if denied_at.is_some_and(|at| at.elapsed() < DENIAL_LASTS) => {}
            None => self.probe.up(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::health::Health;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ping_does_not_hide_that_writes_are_denied() {
        let health = Health::default();
        let access = Access::new(health.requirement("elasticsearch"));
        access.pinged(None);
        assert!(health.is_ready());
        access.is_denied();
        tokio::time::advance(DENIAL_LASTS / 2).await;
        access.pinged(None);
        assert!(!health.is_ready());
        tokio::time::advance(DENIAL_LASTS).await;
        access.pinged(None);
        assert!(health.is_ready());
    }
}
