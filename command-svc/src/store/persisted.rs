//! How the state of an aggregate is kept as rows: said beside the SQL of its table.
//!
//! Every future here sends all of its statements when it is polled first, so that what it is joined
//! with travels in the same round trip.

use schemas::event::StreamId;
use schemas::lane::Position;
use uuid::Uuid;

use super::snapshot::{Snapshot, SnapshotError};
use super::{Row, Statement, StoreError, Stored, Tx};
use crate::domain::Aggregate;

/// A state that has a table. `Changes` holds the rows of all of them.
pub trait Persisted: Aggregate {
    /// All that the methods below run in a transaction: prepared on every connection, since a
    /// statement that has to be prepared first would be overtaken by those behind it.
    const STATEMENTS: &'static [Statement];

    /// Locks and reads what a command is decided on.
    fn load(
        tx: &Tx,
        id: Self::Id,
        command: &Self::Command,
    ) -> impl Future<Output = Result<Loaded<Self>, StoreError>> + Send;

    /// True for a command that needs its own row alone, and only with what `lock_free` reads: it
    /// may be committed together with others.
    fn may_share(_: &Self::Command) -> bool {
        false
    }

    /// Locks those rows that no other transaction holds. Never waits.
    fn lock_free(
        _: &Tx,
        _: &[Self::Id],
    ) -> impl Future<Output = Result<Vec<Stored<Self>>, StoreError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Inserts a new row whose name has to be unique; says who has that name, if anybody. A row
    /// without such a name is left to `write`.
    fn insert(
        _: &Tx,
        _: &Stored<Self>,
    ) -> impl Future<Output = Result<Option<Taken<Self>>, StoreError>> + Send {
        async { Ok(None) }
    }

    /// Writes what has changed in these rows, with one statement for all of them each.
    fn write(tx: &Tx, rows: &[&Row<Self>]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A page of all rows, in the order of ids, beginning after this one.
    fn page(
        snapshot: &Snapshot<'_>,
        after: Uuid,
    ) -> impl Future<Output = Result<Vec<SnapshotRow<Self>>, SnapshotError>> + Send;

    /// Names the members in which two states differ.
    fn differing_members(&self, other: &Self) -> Vec<&'static str>;
}

/// A row as a snapshot has it.
#[derive(Debug)]
pub struct SnapshotRow<A> {
    pub stored: Stored<A>,
    /// What the events of its own stream begin with; none where the first of them makes it.
    pub start: Option<A>,
    pub key: Option<TextKey>,
}

/// The key of a text that has to be unique, in a row.
#[derive(Debug)]
pub struct TextKey {
    /// The member that holds the text.
    pub of: &'static str,
    /// What the text is compared by.
    pub own: String,
    pub stored: Option<String>,
}

/// `differing_members` of a state with these members.
macro_rules! differing_members {
    ($($member:ident),+ $(,)?) => {
        fn differing_members(&self, other: &Self) -> Vec<&'static str> {
            // Names all members, so that a new one is not forgotten.
            let Self { $($member),+ } = self;
            let mut differing = Vec::new();
            $(if *$member != other.$member {
                differing.push(stringify!($member));
            })+
            differing
        }
    };
}

pub(super) use differing_members;

/// What a command is decided on.
#[derive(Debug)]
pub struct Loaded<A: Aggregate> {
    pub state: Option<Stored<A>>,
    pub context: A::Context,
    pub basis: Basis,
}

/// The positions of the log that a command is decided on.
#[derive(Debug, Default)]
pub struct Basis {
    pub positions: Vec<Position>,
    /// The last event of the state, if its position is not among those. What a command appends to
    /// a subject is above all earlier events of that subject: this need not be named then.
    pub last_event: Option<(StreamId, u64)>,
    /// The last events of what a command conflicts with: they matter to refusals.
    pub witnesses: Vec<(StreamId, u64)>,
}

/// A name that is taken.
#[derive(Debug)]
pub struct Taken<A: Aggregate> {
    pub refusal: A::Refusal,
    /// The last events of those who have it.
    pub holders: Vec<(StreamId, u64)>,
}
