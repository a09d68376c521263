//! Waiting on a condition: asked again until it holds, and never for longer than the limit.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks again until the answer is yes. Panics once `limit` has passed.
pub async fn eventually(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_holds_in_the_end_is_waited_for() {
        let mut asked = 0;
        let third_time = async || {
            asked += 1;
            asked == 3
        };
        eventually(
            "it was asked three times",
            Duration::from_secs(5),
            third_time,
        )
        .await;
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "not within 0ns: pigs fly")]
    async fn what_never_holds_is_not_waited_for_longer_than_the_limit() {
        eventually("pigs fly", Duration::ZERO, async || false).await;
    }
}
