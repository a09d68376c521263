//! The projection versions that this release makes builds of.

use schemas::view::View;

#[cfg(not(feature = "crash-points"))]
pub fn version(view: View) -> u32 {
    view.version()
}

/// The same. A test can make the process one of a later release.
#[cfg(feature = "crash-points")]
pub fn version(view: View) -> u32 {
    let ahead = std::env::var("TIDEMARK_VERSIONS_AHEAD").ok();
    let ahead: u32 = ahead.and_then(|ahead| ahead.parse().ok()).unwrap_or(0);
    view.version() + ahead
}
