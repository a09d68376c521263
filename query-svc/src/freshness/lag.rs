//! How far a view is behind the log, as the newest watermark records have it.

use std::time::Duration;

use schemas::watermark::{LaneState, ViewState};

/// The lag of a view's active build.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lag {
    /// Between the heads that the projectors have seen and what is visible, over all lanes.
    pub events: u64,
    /// How long ago a record was read of the lane that has waited longest for one, by the time of
    /// this process. What was read before the end of the topic may be older than the process.
    pub seconds: f64,
}

impl Lag {
    /// None where the view has no active build.
    pub fn of(view: &ViewState, now: Duration) -> Option<Self> {
        let build = view.active_build()?;
        let behind = build.lanes.iter().map(|(lane, said)| {
            let visible = build.visible.get(*lane);
            said.head.unwrap_or(0).saturating_sub(visible)
        });
        let read_at = |said: &LaneState| said.received.unwrap_or_default();
        let oldest = build.lanes.values().map(read_at).min();
        Some(Self {
            events: behind.sum(),
            seconds: oldest.map_or(0.0, |at| now.saturating_sub(at).as_secs_f64()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_without_an_active_build_has_no_lag() {
        assert_eq!(Lag::of(&ViewState::default(), Duration::ZERO), None);
    }
}
