//! Making what was acknowledged visible, on every copy that there is.

use chassis::clock::Deadline;
use chassis::elasticsearch::{ElasticsearchError, ShardCopies, ShardCounts};
use chassis::retry::Backoff;

use super::{Sink, SinkError};
use crate::config::{FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE};

impl Sink {
    /// Refreshes whole indexes, again and again until no copy that serves was missed.
    pub async fn refresh(&self, indexes: &[&str]) -> Result<(), SinkError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let deadline = Deadline::within(self.budget);
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE);
        let mut strictly = false;
        loop {
            let failure = match self.refresh_once(indexes, strictly).await {
                Ok(true) => return Ok(()),
                Ok(false) => None,
                Err(error) if error.is_transient() => Some(error),
                Err(error) if error.is_not_found() => return Err(SinkError::Missing(error)),
                Err(error) => return Err(SinkError::Refused(error)),
            };
            // Only copies that serve no search, before and after, may be missing.
            if !strictly && failure.is_none() {
                strictly = true;
                continue;
            }
            // The state of a missing index is never told: a plain refresh says that it is missing.
            strictly = failure.is_none();
            self.pause(&mut backoff, deadline, failure).await?;
        }
    }

    async fn refresh_once(
        &self,
        indexes: &[&str],
        compare_copies: bool,
    ) -> Result<bool, ElasticsearchError> {
        if !compare_copies {
            return Ok(self.elasticsearch.refresh(indexes).await?.is_complete());
        }
        let before = self.elasticsearch.copies(indexes).await?;
        let counts = self.elasticsearch.refresh(indexes).await?;
        let after = self.elasticsearch.copies(indexes).await?;
        Ok(reached_all_that_serve(counts, &before, &after))
    }
}

/// True where every copy that serves a search was refreshed. A copy that began to serve in between
/// may be one of those that were missed; one that serves neither before nor after shows, once it
/// does, what was acknowledged until then.
fn reached_all_that_serve(counts: ShardCounts, before: &ShardCopies, after: &ShardCopies) -> bool {
    let missing = counts.total.saturating_sub(counts.successful);
    let none_began = after.serving.is_subset(&before.serving);
    counts.failed == 0 && none_began && missing <= before.others.max(after.others)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn copies(serving: &[&str], others: u32) -> ShardCopies {
        let serving = serving.iter().map(|id| (*id).to_owned()).collect();
        ShardCopies { serving, others }
    }

    #[rstest]
    #[case::an_unassigned_copy((2, 1, 0), copies(&["a"], 1), copies(&["a"], 1), true)]
    #[case::a_recovering_copy_that_already_takes_part((2, 2, 0), copies(&["a"], 1), copies(&["a"], 1), true)]
    #[case::a_copy_that_is_added((2, 1, 0), copies(&["a"], 0), copies(&["a"], 1), true)]
    #[case::a_copy_that_goes((1, 1, 0), copies(&["a", "b"], 0), copies(&["a"], 1), true)]
    #[case::a_copy_that_began_to_serve((2, 1, 0), copies(&["a"], 1), copies(&["a", "b"], 0), false)]
    #[case::a_copy_that_moved((2, 1, 0), copies(&["a"], 1), copies(&["b"], 0), false)]
    #[case::one_began_while_another_recovers((3, 2, 0), copies(&["a"], 2), copies(&["a", "b"], 1), false)]
    #[case::a_serving_copy_that_is_missing((2, 1, 0), copies(&["a", "b"], 0), copies(&["a", "b"], 0), false)]
    #[case::a_copy_that_failed((2, 1, 1), copies(&["a"], 1), copies(&["a"], 1), false)]
    fn a_refresh_counts_once_it_reached_every_copy_that_serves(
        #[case] (total, successful, failed): (u32, u32, u32),
        #[case] before: ShardCopies,
        #[case] after: ShardCopies,
        #[case] counts: bool,
    ) {
        let answered = ShardCounts {
            total,
            successful,
            failed,
        };
        assert_eq!(reached_all_that_serve(answered, &before, &after), counts);
    }
}
