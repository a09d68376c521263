//! What becomes of a process that ends without having been asked to: it is started again, after a
//! pause that grows while its lives stay short. Pure; the clock and the processes are the callers'.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After a life of this length the pauses begin with the shortest again.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// How long to wait before the next start.
#[derive(Debug, Default)]
pub struct Backoff {
    last_pause: Option<Duration>,
}

impl Backoff {
    /// The pause after a life of this length.
    pub fn pause_after(&mut self, lived: Duration) -> Duration {
        let pause = match self.last_pause {
            Some(last) if lived < SETTLED_AFTER => (last * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        self.last_pause = Some(pause);
        pause
    }
}

/// How often a process has ended by itself and was started again, and the last time that it did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    pub count: u32,
    pub last_end: Option<End>,
}

/// The end of a process that was not asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub at: DateTime<Utc>,
    /// The exit status in words, or why there was no start.
    pub reason: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

impl Restarts {
    pub fn record(&mut self, end: End) {
        self.count += 1;
        self.last_end = Some(end);
    }
}

/// `exit code 1`, or `signal 9 (SIGKILL)`.
pub fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("signal {number} ({signal})"),
            Err(_) => format!("signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

    use super::{Backoff, in_words};

    #[test]
    fn the_pause_grows_while_lives_are_short_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..7)
            .map(|_| backoff.pause_after(Duration::from_secs(5)).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_process_that_lived_a_while_begins_with_the_shortest_pause_again() {
        let mut backoff = Backoff::default();
        let lives = [5, 5, 5, 60, 5];
        let pauses = lives.map(|lived| backoff.pause_after(Duration::from_secs(lived)).as_secs());
        assert_eq!(pauses, [1, 2, 4, 1, 2]);
    }

    #[test]
    fn an_exit_status_is_told_in_words() {
        assert_eq!(in_words(ExitStatus::from_raw(75 << 8)), "exit code 75");
        assert_eq!(in_words(ExitStatus::from_raw(9)), "signal 9 (SIGKILL)");
    }
}
