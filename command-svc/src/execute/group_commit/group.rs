//! The products of one group as they become, change after change, and what is appended for them.

use std::collections::HashMap;
use std::ops::Range;

use schemas::event::Meta;
use schemas::id::{CategoryId, ProductId};
use schemas::lane::Position;

use super::{Member, Verdict};
use crate::domain::category::Places;
use crate::domain::product::Product;
use crate::execute::decision::Rows;
use crate::execute::product::change;
use crate::execute::{Answer, Outcome};
use crate::store::{self, StoreError, Stored, Tx, log};

#[derive(Debug)]
pub(super) struct Group {
    held: HashMap<ProductId, Held>,
    batch: log::Batch,
    riders: Vec<Rider>,
}

/// A change that is committed with the group.
#[derive(Debug)]
pub(super) struct Rider {
    member: Member,
    answer: Answer,
    /// Its own, among those of the batch.
    events: Range<usize>,
}

#[derive(Debug)]
struct Held {
    product: Stored<Product>,
    dirty: Dirty,
}

/// What of a row has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    Nothing,
    Price,
    Row,
}

impl Group {
    /// Of the products that are locked, and the categories that they are in.
    pub fn new(
        locked: Vec<Stored<Product>>,
        mut categories: HashMap<ProductId, Vec<CategoryId>>,
    ) -> Self {
        let held = locked.into_iter().map(|mut product| {
            let id = product.value.id;
            product.value.category_ids = categories.remove(&id).unwrap_or_default();
            let dirty = Dirty::Nothing;
            (id, Held { product, dirty })
        });
        Self {
            held: held.collect(),
            batch: log::Batch::default(),
            riders: Vec::new(),
        }
    }

    /// Decides a change on what those before it have left; gives it back where it has to go alone.
    pub fn take_in(&mut self, member: Member) -> Option<Member> {
        let Some(held) = self.held.get_mut(&member.id) else {
            return Some(member);
        };
        let (product, expected) = (held.product.clone(), &member.context.expected);
        let decision = change(
            product,
            &member.change,
            expected,
            &Places::default(),
            member.at,
        );
        let (product, dirty) = match decision.rows {
            Rows::Price(product) => (product, Dirty::Price),
            Rows::Product {
                product,
                recategorized: false,
            } => (product, Dirty::Row),
            _ => return Some(member),
        };
        held.product = product;
        held.dirty = held.dirty.max(dirty);
        let first = self.batch.len();
        self.batch.extend(decision.batch);
        self.riders.push(Rider {
            member,
            answer: decision.answer,
            events: first..self.batch.len(),
        });
        None
    }

    pub fn riders(&self) -> &[Rider] {
        &self.riders
    }

    pub fn batch(&self) -> &log::Batch {
        &self.batch
    }

    /// Of each event in the batch.
    pub fn metas(&self) -> Vec<&Meta> {
        let mut metas = Vec::with_capacity(self.batch.len());
        for rider in &self.riders {
            metas.resize(rider.events.end, &rider.member.context.meta);
        }
        metas
    }

    /// Pipelined with what follows.
    pub async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        let (prices, rows) = (self.dirty(Dirty::Price), self.dirty(Dirty::Row));
        let prices = store::product::update_prices(tx, &prices);
        let rows = store::product::update(tx, &rows);
        futures::try_join!(prices, rows).map(|_| ())
    }

    fn dirty(&self, dirty: Dirty) -> Vec<&Stored<Product>> {
        let held = self.held.values().filter(|held| held.dirty == dirty);
        held.map(|held| &held.product).collect()
    }

    /// Tells each its answer, with the positions of its own events.
    pub fn deliver(self, appended: &[Position]) {
        for rider in self.riders {
            rider.member.tell(Verdict::Committed(Outcome {
                answer: rider.answer,
                positions: appended[rider.events].to_vec(),
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
