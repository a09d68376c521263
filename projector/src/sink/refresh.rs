//! Making what was acknowledged visible, on every copy that there is.

use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use chassis::retry::Backoff;

use super::{FIRST_PAUSE, LONGEST_PAUSE, Sink, SinkError};

impl Sink {
    /// Refreshes whole indexes, again and again until no copy that serves was missed.
    pub async fn refresh(&self, indexes: &[&str]) -> Result<(), SinkError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let deadline = Deadline::within(self.budget);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut strictly = false;
        loop {
            let failure = match self.refresh_once(indexes, strictly).await {
                Ok(true) => return Ok(()),
                Ok(false) => None,
                Err(error) if error.is_transient() => Some(error),
                Err(error) if error.is_not_found() => return Err(SinkError::Missing(error)),
                Err(error) => return Err(SinkError::Refused(error)),
            };
            // Only a copy that is known to be unassigned, before and after, may be missing.
            if !strictly && failure.is_none() {
                strictly = true;
                continue;
            }
            // The health of a missing index is never told: a plain refresh says that it is missing.
            strictly = failure.is_none();
            self.pause(&mut backoff, deadline, failure).await?;
        }
    }

    async fn refresh_once(
        &self,
        indexes: &[&str],
        compare_health: bool,
    ) -> Result<bool, ElasticsearchError> {
        if !compare_health {
            return Ok(self.elasticsearch.refresh(indexes).await?.is_complete());
        }
        let names = indexes.join(",");
        let before = self.elasticsearch.health(&names).await?.unassigned_shards;
        let counts = self.elasticsearch.refresh(indexes).await?;
        let after = self.elasticsearch.health(&names).await?.unassigned_shards;
        let missing = counts.total.saturating_sub(counts.successful);
        Ok(counts.failed == 0 && missing == before && before == after)
    }
}
