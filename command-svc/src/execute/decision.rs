//! What was decided: the answer, the events, the rows that follow from them, and on what.

use schemas::event::{Event, StreamId};
use schemas::lane::Position;

use super::answer::{Answer, ToProblem};
use crate::domain::category::Category;
use crate::domain::product::Product;
use crate::domain::stock::Stock;
use crate::domain::{RefusalKind, Refuse};
use crate::store::{self, StoreError, Stored, Tx, log};

#[derive(Debug)]
pub(super) struct Decision {
    pub answer: Answer,
    /// False for what a client has to correct before it asks again: such answers keep no key.
    pub keeps_key: bool,
    pub batch: log::Batch,
    pub rows: Rows,
    /// Where the log stood for what this was decided on, as far as it was read already.
    pub positions: Vec<Position>,
    /// The same by stream and version: still to be looked up. What the batch appends to a subject
    /// is above all earlier events of that subject, so those need not be named.
    pub streams: Vec<(StreamId, u64)>,
}

/// Rows to write from the evolved state, beside those that were inserted to ask for uniqueness.
#[derive(Debug)]
pub(super) enum Rows {
    Unchanged,
    Category(Stored<Category>),
    NewProduct {
        product: Stored<Product>,
        stock: Stored<Stock>,
    },
    Price(Stored<Product>),
    Product {
        product: Stored<Product>,
        recategorized: bool,
    },
    Stock(Stored<Stock>),
}

impl Decision {
    /// An answer without events.
    pub fn unchanged(answer: Answer, streams: Vec<(StreamId, u64)>) -> Self {
        let (batch, rows) = (log::Batch::default(), Rows::Unchanged);
        Self {
            answer,
            keeps_key: true,
            batch,
            rows,
            positions: Vec::new(),
            streams,
        }
    }

    pub fn refused(refusal: &(impl Refuse + ToProblem), streams: Vec<(StreamId, u64)>) -> Self {
        Self {
            keeps_key: refusal.kind() != RefusalKind::Invalid,
            ..Self::unchanged(Answer::refused(refusal), streams)
        }
    }

    #[must_use]
    pub fn decided_on(mut self, positions: Vec<Position>) -> Self {
        self.positions = positions;
        self
    }
}

/// The state after these events, each numbered in its stream, and the batch that appends them.
pub(super) fn follow<T>(
    before: Option<Stored<T>>,
    events: &[Event],
    evolve: impl Fn(Option<T>, &Event) -> Option<T>,
) -> (Stored<T>, log::Batch) {
    let mut version = before.as_ref().map_or(0, |stored| stored.version);
    let mut state = before.map(|stored| stored.value);
    let mut batch = log::Batch::default();
    for event in events {
        version += 1;
        batch.push(version, event);
        state = evolve(state, event);
    }
    let value = state.expect("the first event of a stream makes its state, and none takes it away");
    (Stored { value, version }, batch)
}

impl Rows {
    /// Pipelined with what follows.
    pub async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        match self {
            Self::Unchanged => Ok(()),
            Self::Category(category) => store::category::update(tx, category).await,
            Self::NewProduct { product, stock } => {
                let products = [&product.value];
                let stocks = [stock];
                let categories = store::product::insert_categories(tx, &products);
                futures::try_join!(categories, store::stock::insert(tx, &stocks)).map(|_| ())
            }
            Self::Price(product) => store::product::update_prices(tx, &[product]).await,
            Self::Product {
                product,
                recategorized: false,
            } => store::product::update(tx, &[product]).await,
            Self::Product {
                product,
                recategorized: true,
            } => {
                let (products, values) = ([product], [&product.value]);
                let update = store::product::update(tx, &products);
                let categories = store::product::replace_categories(tx, &values);
                futures::try_join!(update, categories).map(|_| ())
            }
            Self::Stock(stock) => store::stock::update(tx, stock).await,
        }
    }
}
