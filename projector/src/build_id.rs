//! The identity of a build: its view, and its number among that view's builds.

use schemas::view::View;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    pub view: View,
    pub number: u32,
}

impl std::fmt::Display for BuildId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-b{}", self.view.name(), self.number)
    }
}
