//! Named places where a process can be told to die, for stories about crashes.
//!
//! Only with the feature `crash-points`; without it a place costs nothing.

/// The variable that names the place at which this process aborts.
#[cfg(feature = "crash-points")]
const VARIABLE: &str = "TIDEMARK_CRASH_POINT";

/// Aborts here, without any clean-up, where the environment names this place.
#[cfg(feature = "crash-points")]
pub fn reach(place: &str) {
    if std::env::var(VARIABLE).is_ok_and(|named| named == place) {
        tracing::warn!(crash.point = place, "aborting as told");
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub fn reach(_place: &str) {}
