//! The products of one group as they become, change after change, and what is appended for them.

use std::collections::HashMap;

use schemas::event::Meta;
use schemas::id::{CategoryId, ProductId};

use super::{Member, Share};
use crate::domain::category::Places;
use crate::domain::product::Product;
use crate::execute::decision::Rows;
use crate::execute::product::change;
use crate::store::{self, StoreError, Stored, Tx, log};

#[derive(Debug)]
pub(super) struct Group<'a> {
    held: HashMap<ProductId, Held>,
    batch: log::Batch,
    metas: Vec<&'a Meta>,
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

impl<'a> Group<'a> {
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
            metas: Vec::new(),
        }
    }

    /// Decides a change on what those before it have left; none where it has to go alone.
    pub fn take_in(&mut self, member: &'a Member) -> Option<Share> {
        let held = self.held.get_mut(&member.id)?;
        let decision = change(
            held.product.clone(),
            &member.change,
            &member.context.expected,
            &Places::default(),
            member.at,
        );
        let (product, dirty) = match decision.rows {
            Rows::Price(product) => (product, Dirty::Price),
            Rows::Product {
                product,
                recategorized: false,
            } => (product, Dirty::Row),
            _ => return None,
        };
        held.product = product;
        held.dirty = held.dirty.max(dirty);
        let first = self.batch.len();
        self.batch.extend(decision.batch);
        self.metas.resize(self.batch.len(), &member.context.meta);
        Some(Share {
            answer: decision.answer,
            events: first..self.batch.len(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub fn batch(&self) -> &log::Batch {
        &self.batch
    }

    /// Of each event in the batch.
    pub fn metas(&self) -> &[&'a Meta] {
        &self.metas
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
}
