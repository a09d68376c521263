//! How far a view is behind the log, as the newest watermark records have it.

use chrono::{DateTime, Utc};
use schemas::watermark::ViewState;

/// Of the active build; of nothing where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// Between the heads that the projectors have seen and what is visible, over all lanes.
    pub events: u64,
    /// Age of the oldest word on any lane.
    pub seconds: f64,
}

impl Lag {
    pub fn of(view: &ViewState, now: DateTime<Utc>) -> Self {
        let Some(build) = view.active_build() else {
            return Self {
                events: 0,
                seconds: 0.0,
            };
        };
        let behind = build.lanes.iter().map(|(lane, said)| {
            let visible = build.visible.get(*lane);
            said.head.unwrap_or(0).saturating_sub(visible)
        });
        let oldest = build.lanes.values().map(|said| said.at).min();
        Self {
            events: behind.sum(),
            seconds: oldest.map_or(0.0, |at| (now - at).as_seconds_f64().max(0.0)),
        }
    }
}
