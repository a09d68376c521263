//! Named places at which a test can have the process die, to see what a successor makes of it.
//!
//! They lie on the way of a write, and count only once something has come so far: what happens at a
//! place before anything was written tells nothing. Only with the feature `crash-points`; without
//! it there is nothing here to be switched on.

/// The way of a write.
#[cfg(feature = "crash-points")]
const WAY: [&str; 3] = ["after-bulk", "after-refresh", "after-watermark"];

/// Aborts where `TIDEMARK_CRASH_POINT` names this place.
#[cfg(feature = "crash-points")]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    /// How many places of the way were passed.
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    let place = WAY.iter().position(|one| *one == name);
    let place = place.expect("the place lies on the way of a write");
    if PASSED.load(Ordering::SeqCst) < place {
        return;
    }
    PASSED.fetch_max(place + 1, Ordering::SeqCst);
    let asked = ASKED.get_or_init(|| std::env::var("TIDEMARK_CRASH_POINT").ok());
    if asked.as_deref() == Some(name) {
        tracing::error!(crash.point = name, "aborting on purpose");
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub fn point(_name: &str) {}
