//! Named places at which a test can have the process die, to see what a successor makes of it.
//!
//! Only with the feature `crash-points`; without it there is nothing here to be switched on.

/// Aborts where `TIDEMARK_CRASH_POINT` names this place.
#[cfg(feature = "crash-points")]
pub fn point(name: &str) {
    use std::sync::OnceLock;

    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| std::env::var("TIDEMARK_CRASH_POINT").ok());
    if asked.as_deref() == Some(name) {
        tracing::error!(crash.point = name, "aborting on purpose");
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub fn point(_name: &str) {}
