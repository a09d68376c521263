//! Why the process must end: the history that it began with is not there any more.

use schemas::id::Epoch;
use schemas::lane::{Lane, Seq};

/// Nothing that this process could try again would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// A new start reads the new epoch.
    #[error("the epoch has changed from {from} to {to}")]
    EpochChanged { from: Epoch, to: Epoch },
    #[error("history-lost: {0}")]
    HistoryLost(String),
    /// A new start counts the partitions again.
    #[error("the events topic has another number of partitions than when this process started")]
    Repartitioned,
}

impl Ending {
    pub fn beyond_head(lane: Lane, seq: Seq, head: Seq) -> Self {
        Self::HistoryLost(format!(
            "lane {lane} was followed to {seq}, but its log ends at {head}"
        ))
    }

    pub fn another_event(lane: Lane, seq: Seq) -> Self {
        Self::HistoryLost(format!(
            "lane {lane} has a different event at {seq} than before"
        ))
    }

    pub fn not_dense(lane: Lane, seq: Seq) -> Self {
        Self::HistoryLost(format!(
            "the log of lane {lane} has a hole at or after {seq}"
        ))
    }

    /// The exit status of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::HistoryLost(_) => 65,
            Self::EpochChanged { .. } | Self::Repartitioned => 75,
        }
    }
}
