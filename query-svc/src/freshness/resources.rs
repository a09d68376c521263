//! What all reads of the process share.

use chassis::elasticsearch::Elasticsearch;

use super::heads::Heads;
use super::wait_slots::WaitSlots;
use crate::admission::Admission;

#[derive(Debug)]
pub(super) struct Resources {
    pub elasticsearch: Elasticsearch,
    pub admission: Admission,
    pub heads: Heads,
    pub wait_slots: WaitSlots,
}
