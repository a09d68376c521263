//! An aggregate: a state that its commands change as one, by the events of its own stream.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use schemas::event::{Event, StreamKind};
use uuid::Uuid;

use super::refusal::Refuse;

/// Implemented by the state. Pure, and no more than the rules; see `store::Persisted` for how a
/// state is kept in tables.
pub trait Aggregate: Clone + Debug + PartialEq + Send + Sync + Sized + 'static {
    type Id: Copy + Ord + Debug + Into<Uuid> + Send + Sync;
    type Command: Clone + Debug + PartialEq + Send + Sync;
    type Refusal: Refuse;
    /// What else a decision depends on. The default holds nothing.
    type Context: Default + Send + Sync;

    /// The kind of its stream: an event of this kind raises the version of the state.
    const STREAM: StreamKind;

    fn id(&self) -> Self::Id;

    /// Unique among the commands of all aggregates: the label in metrics.
    fn command_name(command: &Self::Command) -> &'static str;

    /// True for a command that makes a new state.
    fn creates(command: &Self::Command) -> bool;

    /// The events that follow from a command; a no-op produces none.
    fn decide(
        state: Option<&Self>,
        command: &Self::Command,
        context: &Self::Context,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, Self::Refusal>;

    /// The state after an event. Events that do not concern it leave it alone; none removes it.
    fn evolve(state: Option<Self>, event: &Event) -> Option<Self>;
}
