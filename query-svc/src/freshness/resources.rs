//! What all reads of the process share.

use chassis::elasticsearch::Elasticsearch;

use super::heads::Heads;
use super::places::Places;
use crate::gate::Gate;

#[derive(Debug)]
pub(super) struct Resources {
    pub elasticsearch: Elasticsearch,
    pub gate: Gate,
    pub heads: Heads,
    pub places: Places,
}
