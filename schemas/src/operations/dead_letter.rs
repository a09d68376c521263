//! A dead letter: an event that could not be folded, or whose document was refused.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::Epoch;
use crate::lane::{Lane, Seq};

/// As it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    pub view: String,
    pub build: u32,
    #[schema(value_type = u32)]
    pub epoch: Epoch,
    pub lane: Lane,
    pub seq: Seq,
    pub event_id: Uuid,
    pub reason: String,
    pub at: DateTime<Utc>,
}
