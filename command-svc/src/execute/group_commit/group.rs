//! The products of one group as they become, change after change, and what is appended for them.

use std::collections::HashMap;
use std::ops::Range;

use schemas::event::{Event, Meta};
use schemas::id::{CategoryId, ProductId};
use schemas::lane::Position;

use super::{Member, Verdict};
use crate::domain::Aggregate;
use crate::domain::category::Places;
use crate::domain::product::Product;
use crate::execute::answer::of_product;
use crate::execute::{Answer, Outcome};
use crate::store::{Changes, Stored, log};

#[derive(Debug, Default)]
pub(super) struct Group {
    changes: Changes,
    riders: Vec<Rider>,
    /// Of all events so far, as they are appended.
    elements: usize,
}

/// A change that is committed with the group.
#[derive(Debug)]
pub(super) struct Rider {
    member: Member,
    answer: Answer,
    /// Its own, among those of the batch.
    elements: Range<usize>,
}

impl Group {
    /// Of the products that are locked, and the categories that they are in.
    pub fn new(
        locked: Vec<Stored<Product>>,
        mut categories: HashMap<ProductId, Vec<CategoryId>>,
    ) -> Self {
        let mut group = Self::default();
        for mut product in locked {
            let id = product.value.id;
            product.value.category_ids = categories.remove(&id).unwrap_or_default();
            group.changes.hold(product);
        }
        group
    }

    /// Decides a change on what those before it have left; gives it back where it has to go alone.
    pub fn take_in(&mut self, member: Member) -> Option<Member> {
        let Some(events) = self.decide(&member) else {
            return Some(member);
        };
        let first = self.elements;
        self.elements += events.iter().map(log::elements_of).sum::<usize>();
        self.changes.extend(events);
        let product = self.changes.get::<Product>(member.id);
        let product = product.expect("what is decided on is held");
        let answer = Answer::Current {
            resource: of_product(product),
            version: product.version,
        };
        self.riders.push(Rider {
            member,
            answer,
            elements: first..self.elements,
        });
        None
    }

    fn decide(&self, member: &Member) -> Option<Vec<Event>> {
        let product = self.changes.get::<Product>(member.id)?;
        let is_expected = member.context.expected.allows(product.version);
        let (state, places) = (Some(&product.value), Places::default());
        let decided = Product::decide(state, &member.change, &places, member.at);
        decided
            .ok()
            .filter(|events| is_expected && !events.is_empty())
    }

    pub fn riders(&self) -> &[Rider] {
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
