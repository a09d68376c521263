//! Builds: one physical index of a view each, announced, filled, switched to, retired, removed.
//!
//! Everything that there is to know of builds stands in the watermark topic, so that every reader
//! sees the same at the same offset. Only the owner of lane 0 writes of them. A build's index is
//! made before it is announced and never again: a missing one is a lost build, and the next number
//! takes its place. Two versions of the projector may run side by side, each with an owner of lane 0
//! of its own; the higher one leads while it is alive.

use std::time::Duration;

use schemas::view::View;
use schemas::watermark::WatermarkState;

use crate::build_id::BuildId;
use crate::config::REMOVE_AFTER;
use crate::version::version;

mod decide;
mod index;
mod keep;
mod remove;
mod stuck;

pub use index::index_body;
pub use keep::BuildController;

/// A build that this binary keeps up to date.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FedBuild {
    pub view: View,
    pub number: u32,
    /// Projection version.
    pub version: u32,
    pub index: String,
    pub index_uuid: String,
}

impl FedBuild {
    pub fn id(&self) -> BuildId {
        BuildId {
            view: self.view,
            number: self.number,
        }
    }
}

#[cfg(not(feature = "crash-points"))]
fn remove_after() -> Duration {
    REMOVE_AFTER
}

/// `REMOVE_AFTER`; a test need not wait so long.
#[cfg(feature = "crash-points")]
fn remove_after() -> Duration {
    let seconds = std::env::var("TIDEMARK_REMOVE_AFTER_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(REMOVE_AFTER, Duration::from_secs)
}

/// Every build that is announced, not retired, and of a projection version that this binary knows.
pub fn fed(state: &WatermarkState) -> Vec<FedBuild> {
    let known = |build: &FedBuild| build.version == version(build.view);
    announced(state).into_iter().filter(known).collect()
}

/// Every build that is announced and not retired, of views that this binary knows.
pub fn announced(state: &WatermarkState) -> Vec<FedBuild> {
    let views = View::ALL
        .into_iter()
        .filter_map(|view| Some((view, state.view(view.name())?)));
    let builds = views.flat_map(|(view, of_view)| {
        of_view
            .builds
            .iter()
            .filter(|(_, build)| build.is_fed())
            .filter_map(move |(number, build)| {
                let announced = build.announced.as_ref()?;
                Some(FedBuild {
                    view,
                    number: *number,
                    version: announced.version,
                    index: announced.index.clone(),
                    index_uuid: announced.index_uuid.clone(),
                })
            })
    });
    builds.collect()
}
