//! The unit of work of every command, group and import: the rows that a transaction holds, and the
//! events that change them.
//!
//! Pure until it is written: table by table in the order of locks, with one statement for all rows
//! of a kind, all in the round trip that appends the events.

use std::sync::LazyLock;

use futures::try_join;
use schemas::event::Event;

use super::{Persisted, Row, Statement, StoreError, Stored, Table, Tx, log, statement};
use crate::domain::Aggregate;
use crate::domain::category::Category;
use crate::domain::product::Product;
use crate::domain::stock::Stock;

/// A state whose rows `Changes` holds.
pub trait Tracked: Persisted {
    fn table(changes: &Changes) -> &Table<Self>;
    fn table_mut(changes: &mut Changes) -> &mut Table<Self>;
    fn wanted(wanted: &mut Wanted) -> &mut Vec<Self::Id>;

    /// The name of the table, in the plural.
    const TABLE: &'static str;
}

/// Something that is done with every table.
pub trait EachTable {
    type Error;

    fn table<A: Tracked>(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
}

macro_rules! tables {
    ($($table:ident: $state:ty),+ $(,)?) => {
        #[derive(Debug, Default)]
        pub struct Changes {
            $($table: Table<$state>,)+
            events: Vec<(u64, Event)>,
        }

        /// Ids of rows to be locked, where no other transaction holds them.
        #[derive(Debug, Default)]
        pub struct Wanted {
            $($table: Vec<<$state as Aggregate>::Id>,)+
        }

        /// What `Database::borrow` prepares.
        pub(super) static STATEMENTS: LazyLock<Vec<Statement>> = LazyLock::new(|| {
            [statement::COMMON, $(<$state as Persisted>::STATEMENTS),+].concat()
        });

        /// One after the other.
        pub async fn each_table<E: EachTable>(each: &mut E) -> Result<(), E::Error> {
            $(each.table::<$state>().await?;)+
            Ok(())
        }

        $(impl Tracked for $state {
            const TABLE: &'static str = stringify!($table);

            fn table(changes: &Changes) -> &Table<Self> {
                &changes.$table
            }

            fn table_mut(changes: &mut Changes) -> &mut Table<Self> {
                &mut changes.$table
            }

            fn wanted(wanted: &mut Wanted) -> &mut Vec<Self::Id> {
                &mut wanted.$table
            }
        })+

        impl Changes {
            /// Changes the rows that an event concerns, and keeps it to be appended.
            pub fn append(&mut self, event: Event) {
                let versions = [$(self.$table.apply(&event)),+];
                let version = versions.into_iter().flatten().next();
                let version = version.expect("the first event of a stream makes its row");
                self.events.push((version, event));
            }

            /// Locks those of the wanted rows that no other transaction holds. Never waits.
            pub async fn lock_free(tx: &Tx, wanted: Wanted) -> Result<Self, StoreError> {
                let ($($table,)+) = try_join!($(lock_free::<$state>(tx, wanted.$table)),+)?;
                let mut changes = Self::default();
                $($table.into_iter().for_each(|row| changes.hold(row));)+
                Ok(changes)
            }

            /// Pipelined with what follows. Rows with names of their own were inserted before.
            pub async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
                try_join!($(self.$table.write(tx)),+).map(|_| ())
            }
        }
    };
}

// Every table that commands write, in the order in which their rows are locked.
tables! {
    categories: Category,
    products: Product,
    stocks: Stock,
}

impl Wanted {
    pub fn add<T: Tracked>(&mut self, id: T::Id) {
        T::wanted(self).push(id);
    }
}

impl Changes {
    /// What these events make of a row as it was read, or of nothing.
    pub fn of<T: Tracked>(
        before: Option<Stored<T>>,
        events: impl IntoIterator<Item = Event>,
    ) -> Self {
        let mut changes = Self::default();
        before.into_iter().for_each(|row| changes.hold(row));
        changes.extend(events);
        changes
    }

    /// Holds a row as it was read.
    pub fn hold<T: Tracked>(&mut self, row: Stored<T>) {
        T::table_mut(self).hold(row);
    }

    pub fn extend(&mut self, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| self.append(event));
    }

    /// A row as the events so far have left it.
    pub fn get<T: Tracked>(&self, id: T::Id) -> Option<&Stored<T>> {
        T::table(self).get(id)
    }

    pub fn changed<T: Tracked>(&self) -> impl Iterator<Item = &Row<T>> {
        T::table(self).changed()
    }

    /// Rows that are made here.
    pub fn created<T: Tracked>(&self) -> Vec<&Stored<T>> {
        let created = self.changed().filter(|row| row.is_new());
        created.map(|row| &row.after).collect()
    }

    /// Each with its number in its stream.
    pub fn events(&self) -> &[(u64, Event)] {
        &self.events
    }

    pub fn batch(&self) -> log::Batch {
        log::Batch::of(&self.events)
    }

    /// True where nothing happens.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

async fn lock_free<T: Persisted>(
    tx: &Tx,
    mut ids: Vec<T::Id>,
) -> Result<Vec<Stored<T>>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    T::lock_free(tx, &ids).await
}

#[cfg(test)]
mod tests;
