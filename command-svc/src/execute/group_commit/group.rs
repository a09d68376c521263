//! The commands of one group, and the rows as they become, change after change.

use std::fmt::Debug;
use std::ops::Range;

use chrono::{DateTime, Utc};
use schemas::event::Meta;
use schemas::lane::Position;

use super::{Member, Verdict};
use crate::domain::Aggregate;
use crate::execute::answer::Representation;
use crate::execute::{Answer, Expected, Outcome, Resource};
use crate::store::{Changes, Wanted, log};

/// A command that may be committed together with others, whatever it is of.
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

#[derive(Debug, Default)]
pub(super) struct Group {
    changes: Changes,
    riders: Vec<Admitted>,
    /// Of all events so far, as they are appended.
    elements: usize,
}

/// A change that is committed with the group.
#[derive(Debug)]
pub(super) struct Admitted {
    member: Member,
    answer: Answer,
    /// Its own, among those of the batch.
    elements: Range<usize>,
}

impl Group {
    /// Of the rows that are held for it.
    pub fn new(changes: Changes) -> Self {
        Self {
            changes,
            ..Self::default()
        }
    }

    /// Decides a change on what those before it have left; gives it back where it has to go alone.
    pub fn take_in(&mut self, member: Member) -> Option<Member> {
        let before = self.changes.events().len();
        let expected = &member.context.expected;
        let Some(answer) = member.rider.ride(&mut self.changes, expected, member.at) else {
            return Some(member);
        };
        let own = self.changes.events()[before..].iter();
        let count: usize = own.map(|(_, event)| log::elements_of(event)).sum();
        let first = self.elements;
        self.elements += count;
        self.riders.push(Admitted {
            member,
            answer,
            elements: first..self.elements,
        });
        None
    }

    pub fn riders(&self) -> &[Admitted] {
        &self.riders
    }

    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Of each element that is appended.
    pub fn metas(&self) -> Vec<&Meta> {
        let mut metas = Vec::with_capacity(self.elements);
        for rider in &self.riders {
            metas.resize(rider.elements.end, &rider.member.context.meta);
        }
        metas
    }

    /// Tells each its answer, with the positions of its own events.
    pub fn deliver(self, appended: &[Position]) {
        for rider in self.riders {
            rider.member.tell(Verdict::Committed(Outcome {
                answer: rider.answer,
                positions: appended[rider.elements].to_vec(),
                appended: true,
                replayed: false,
            }));
        }
    }

    /// For those that are not answered.
    pub fn into_members(self) -> Vec<Member> {
        self.riders.into_iter().map(|rider| rider.member).collect()
    }
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

#[cfg(test)]
mod tests;
