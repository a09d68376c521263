//! Named places where tests of crashes can make a process abort, to see what a successor makes of it.
//!
//! Only with the feature `crash-points`; without it a place costs nothing.

#[cfg(feature = "crash-points")]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The variable that names the place at which this process aborts.
#[cfg(feature = "crash-points")]
const VARIABLE: &str = "TIDEMARK_CRASH_POINT";

/// Aborts here, without any clean-up, where the environment names this place.
#[cfg(feature = "crash-points")]
pub fn reach(place: &str) {
    if std::env::var(VARIABLE).is_ok_and(|named| named == place) {
        tracing::warn!(crash.point = place, "aborting at the crash point");
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub fn reach(_place: &str) {}

/// Places that work passes one after the other. Each counts only once the one before it was reached:
/// what happens at a place before anything has come so far tells nothing.
#[derive(Debug)]
pub struct CrashPath {
    #[cfg(feature = "crash-points")]
    places: &'static [&'static str],
    /// How many places were reached.
    #[cfg(feature = "crash-points")]
    reached: AtomicUsize,
}

#[cfg(feature = "crash-points")]
impl CrashPath {
    pub const fn new(places: &'static [&'static str]) -> Self {
        Self {
            places,
            reached: AtomicUsize::new(0),
        }
    }

    /// # Panics
    ///
    /// If the path does not lead through this place.
    pub fn reach(&self, place: &str) {
        let position = self.places.iter().position(|one| *one == place);
        let position = position.expect("the path leads through this place");
        if self.reached.load(Ordering::SeqCst) >= position {
            self.reached.fetch_max(position + 1, Ordering::SeqCst);
            reach(place);
        }
    }
}

#[cfg(not(feature = "crash-points"))]
impl CrashPath {
    pub const fn new(_places: &'static [&'static str]) -> Self {
        Self {}
    }

    pub fn reach(&self, _place: &str) {}
}
