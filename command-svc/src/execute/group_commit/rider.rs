//! A command that may be committed together with others, whatever it is of.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

use crate::domain::Aggregate;
use crate::execute::answer::Representation;
use crate::execute::{Answer, Expected, Resource};
use crate::store::{Changes, Wanted};

pub(super) trait Rider: Debug + Send + Sync {
    /// Names the row that the command is decided on.
    fn want(&self, wanted: &mut Wanted);

    /// Decides the command on what those before it have left. None where nothing is appended, or
    /// the row is not held: then it leaves no trace.
    fn ride(&self, changes: &mut Changes, expected: &Expected, at: DateTime<Utc>)
    -> Option<Answer>;
}

#[derive(Debug)]
pub(super) struct RiderOf<A: Aggregate> {
    pub id: A::Id,
    pub command: A::Command,
}

impl<A: Resource> Rider for RiderOf<A> {
    fn want(&self, wanted: &mut Wanted) {
        wanted.add::<A>(self.id);
    }

    fn ride(
        &self,
        changes: &mut Changes,
        expected: &Expected,
        at: DateTime<Utc>,
    ) -> Option<Answer> {
        let held = changes.get::<A>(self.id)?;
        let context = A::Context::default();
        let decided = A::decide(Some(&held.value), &self.command, &context, at).ok()?;
        if decided.is_empty() || !expected.allows(held.version) {
            return None;
        }
        changes.extend(decided);
        let current = changes.get::<A>(self.id)?;
        Some(Answer::Current(Representation::of(current, &context)))
    }
}
