//! Named places where tests of crashes can make a process abort.
//!
//! Only with the feature `crash-points`; without it a place costs nothing.

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
