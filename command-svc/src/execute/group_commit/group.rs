//! The rows of one group as they become, change after change, and what is appended for them.

use std::ops::Range;

use schemas::event::Meta;
use schemas::lane::Position;

use super::{Member, Verdict};
use crate::execute::{Answer, Outcome};
use crate::store::{Changes, log};

#[derive(Debug, Default)]
pub(super) struct Group {
    changes: Changes,
    riders: Vec<Taken>,
    /// Of all events so far, as they are appended.
    elements: usize,
}

/// A change that is committed with the group.
#[derive(Debug)]
pub(super) struct Taken {
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
        self.riders.push(Taken {
            member,
            answer,
            elements: first..self.elements,
        });
        None
    }

    pub fn riders(&self) -> &[Taken] {
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

#[cfg(test)]
mod tests;
