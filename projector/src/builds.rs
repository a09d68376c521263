//! Builds: one physical index of a view each, announced, filled, switched to, retired, removed.
//!
//! Everything that there is to know of builds stands in the watermark topic, so that every reader
//! sees the same at the same offset. Only the owner of lane 0 writes of them. A build's index is
//! made before it is announced and never again: a missing one is a lost build, and the next number
//! takes its place.

use schemas::view::View;
use schemas::watermark::WatermarkState;

mod decide;
mod keep;

pub use keep::Keeper;

/// A build that this binary keeps up to date.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FedBuild {
    pub view: View,
    pub number: u32,
    pub index: String,
    pub index_uuid: String,
}

/// Every build that is announced, not retired, and of a projection version that this binary knows.
pub fn fed(state: &WatermarkState) -> Vec<FedBuild> {
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
                (announced.version == view.version()).then(|| FedBuild {
                    view,
                    number: *number,
                    index: announced.index.clone(),
                    index_uuid: announced.index_uuid.clone(),
                })
            })
    });
    builds.collect()
}

/// Settings and mappings of a view's indexes.
pub fn index_body(view: View) -> serde_json::Value {
    let text = match view {
        View::Products => include_str!("../mappings/products.json"),
        View::Categories => include_str!("../mappings/categories.json"),
    };
    serde_json::from_str(text).expect("committed mappings are JSON")
}
