//! The view `categories`: one document a category, with its path.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FoldError, Targets, ViewDocument};
use crate::event::category::CategoryPath;
use crate::event::{CategoryCreated, Envelope, Event, StreamKind};
use crate::id::CategoryId;
use crate::lane::{Lane, Seq};

/// Field that holds the ids on the path, the category's own included.
pub const PATH_IDS: &str = "path_ids";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryDocument {
    pub category_id: CategoryId,
    pub lane: Lane,
    pub seq: Seq,
    pub stream_version: u64,
    pub name: String,
    pub parent_id: Option<CategoryId>,
    /// From the root down to this category.
    pub path: CategoryPath,
    pub path_ids: Vec<CategoryId>,
    /// Depth in the tree; a root is at 1.
    pub depth: u32,
    /// Retired categories keep their document, so that it cannot come back older.
    pub removed: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ViewDocument for CategoryDocument {
    const VERSION: u32 = 1;

    fn targets(event: &Event) -> Targets {
        match event {
            Event::CategoryCreated(event) => Targets::These(vec![event.category_id.0]),
            Event::CategoryRetired(event) => Targets::These(vec![event.category_id.0]),
            Event::CategoryRenamed(event) => Targets::Where {
                field: PATH_IDS,
                id: event.category_id.0,
            },
            Event::CategoryMoved(event) => Targets::Where {
                field: PATH_IDS,
                id: event.category_id.0,
            },
            _ => Targets::None,
        }
    }

    fn create(envelope: &Envelope) -> Result<Self, FoldError> {
        let Event::CategoryCreated(created) = &envelope.event else {
            let event = envelope.event.type_name();
            return Err(FoldError::NoDocument { event });
        };
        let mut document = Self::new(created, envelope.lane);
        document.advance(envelope);
        Ok(document)
    }

    fn fold(&mut self, envelope: &Envelope) -> Result<(), FoldError> {
        self.apply(&envelope.event)?;
        self.advance(envelope);
        Ok(())
    }

    fn id(&self) -> Uuid {
        self.category_id.0
    }

    fn lane(&self) -> Lane {
        self.lane
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    fn stream_version(&self) -> u64 {
        self.stream_version
    }

    fn references(&self) -> impl Iterator<Item = (&'static str, Uuid)> {
        self.path_ids.iter().map(|id| (PATH_IDS, id.0))
    }
}

impl CategoryDocument {
    fn new(created: &CategoryCreated, lane: Lane) -> Self {
        Self {
            category_id: created.category_id,
            lane,
            seq: 0,
            stream_version: 0,
            name: created.name.clone(),
            parent_id: created.parent_id,
            path: created.path.clone(),
            path_ids: Vec::new(),
            depth: 0,
            removed: false,
            created_at: created.occurred_at,
            updated_at: created.occurred_at,
        }
    }

    fn advance(&mut self, envelope: &Envelope) {
        self.path_ids = self.path.iter().map(|category| category.id).collect();
        self.depth = self.path.len() as u32;
        self.updated_at = envelope.event.occurred_at();
        self.seq = envelope.seq;
        let is_own = envelope.stream_id.kind == StreamKind::Category
            && envelope.stream_id.id == self.category_id.0;
        if is_own {
            self.stream_version = envelope.stream_version;
        }
    }

    fn apply(&mut self, event: &Event) -> Result<(), FoldError> {
        match event {
            Event::CategoryRenamed(renamed) => {
                rename_on_path(&mut self.path, renamed.category_id, &renamed.name);
                if renamed.category_id == self.category_id {
                    self.name.clone_from(&renamed.name);
                }
            }
            Event::CategoryMoved(moved) => {
                move_on_path(&mut self.path, moved.category_id, &moved.ancestors);
                if moved.category_id == self.category_id {
                    self.parent_id = moved.parent_id;
                }
            }
            Event::CategoryRetired(_) => self.removed = true,
            Event::CategoryCreated(_) => {
                let event = event.type_name();
                return Err(FoldError::AlreadyThere { event });
            }
            other => {
                return Err(FoldError::NotTargeted {
                    event: other.type_name(),
                });
            }
        }
        Ok(())
    }
}

/// Gives the category its new name wherever the path runs through it.
pub(super) fn rename_on_path(path: &mut CategoryPath, category: CategoryId, name: &str) {
    for step in path.iter_mut().filter(|step| step.id == category) {
        name.clone_into(&mut step.name);
    }
}

/// Replaces what stood above the category on the path by its new ancestors.
pub(super) fn move_on_path(
    path: &mut CategoryPath,
    category: CategoryId,
    ancestors: &CategoryPath,
) {
    if let Some(at) = path.iter().position(|step| step.id == category) {
        path.splice(..at, ancestors.iter().cloned());
    }
}

#[cfg(test)]
mod tests;
