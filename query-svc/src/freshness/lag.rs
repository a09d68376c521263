//! How far a view is behind the log, as the newest watermark records have it.

use chrono::{DateTime, Utc};
use schemas::watermark::ViewState;

/// The lag of a view's active build.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lag {
    /// Between the heads that the projectors have seen and what is visible, over all lanes.
    pub events: u64,
    /// Age of the oldest watermark record that a lane was last named in.
    pub seconds: f64,
}

impl Lag {
    /// None where the view has no active build.
    pub fn of(view: &ViewState, now: DateTime<Utc>) -> Option<Self> {
        let build = view.active_build()?;
        let behind = build.lanes.iter().map(|(lane, said)| {
            let visible = build.visible.get(*lane);
            said.head.unwrap_or(0).saturating_sub(visible)
        });
        let oldest = build.lanes.values().map(|said| said.at).min();
        Some(Self {
            events: behind.sum(),
            seconds: oldest.map_or(0.0, |at| (now - at).as_seconds_f64().max(0.0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_without_an_active_build_has_no_lag() {
        assert_eq!(Lag::of(&ViewState::default(), DateTime::UNIX_EPOCH), None);
    }
}
