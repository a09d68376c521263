//! The rows of one table that a transaction holds: as they were read, and as events have left them.

use std::collections::HashMap;

use schemas::event::Event;
use uuid::Uuid;

use super::{Persisted, StoreError, Stored, Tx};

/// In the order in which they came.
#[derive(Debug)]
pub struct Table<T> {
    rows: HashMap<Uuid, Row<T>>,
    order: Vec<Uuid>,
}

#[derive(Debug)]
pub struct Row<T> {
    /// None of a row that is made in this transaction.
    pub before: Option<Stored<T>>,
    pub after: Stored<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            order: Vec::new(),
        }
    }
}

impl<T: Persisted> Table<T> {
    /// Holds a row as it was read.
    pub fn hold(&mut self, stored: Stored<T>) {
        let id = stored.value.id().into();
        let before = Some(stored.clone());
        let row = Row {
            before,
            after: stored,
        };
        self.insert(id, row);
    }

    pub fn get(&self, id: T::Id) -> Option<&Stored<T>> {
        self.rows.get(&id.into()).map(|row| &row.after)
    }

    /// Lets an event change the row that it concerns, or make it. The version afterwards, where
    /// the event is of the row's own stream.
    pub fn apply(&mut self, event: &Event) -> Option<u64> {
        let stream = event.stream_id();
        let held = self.rows.remove(&stream.id);
        let is_held = held.is_some();
        let (before, state, version) = match held {
            Some(Row { before, after }) => (before, Some(after.value), after.version),
            None => (None, None, 0),
        };
        let state = T::evolve(state, event);
        debug_assert!(state.is_some() || !is_held, "no event removes a state");
        let value = state?;
        let is_own = stream.kind == T::STREAM;
        let version = version + u64::from(is_own);
        let after = Stored { value, version };
        if is_held {
            self.rows.insert(stream.id, Row { before, after });
        } else {
            self.insert(stream.id, Row { before, after });
        }
        is_own.then_some(version)
    }

    pub fn changed(&self) -> impl Iterator<Item = &Row<T>> {
        let rows = self.order.iter().filter_map(|id| self.rows.get(id));
        rows.filter(|row| row.is_changed())
    }

    pub async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        let changed: Vec<&Row<T>> = self.changed().collect();
        if changed.is_empty() {
            return Ok(());
        }
        T::write(tx, &changed).await
    }

    fn insert(&mut self, id: Uuid, row: Row<T>) {
        self.rows.insert(id, row);
        self.order.push(id);
    }
}

impl<T: PartialEq> Row<T> {
    pub fn is_new(&self) -> bool {
        self.before.is_none()
    }

    fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.after)
    }
}
