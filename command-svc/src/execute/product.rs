//! Commands of products. Those that name categories copy their paths, under the tree's lock.

use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::{Event, StreamId};
use schemas::id::ProductId;

use super::answer::{Answer, of_product};
use super::decision::{Decision, Rows};
use super::expected::Expected;
use crate::domain::product::{Command, CreateProduct, Product, decide as decide_product, evolve};
use crate::domain::stock::{self, Stock};
use crate::domain::{Refusal, product};
use crate::store::category::{Found, TreeLock, lock_tree, places};
use crate::store::log::product_stream;
use crate::store::product::{category_ids, ids_by_sku, insert, lock};
use crate::store::{StoreError, Stored, Tx, log};

#[derive(Debug)]
pub(super) struct Loaded {
    product: Option<Stored<Product>>,
    found: Found,
}

pub(super) async fn load(tx: &Tx, id: ProductId, command: &Command) -> Result<Loaded, StoreError> {
    let (found, product) = try_join!(load_places(tx, command), load_product(tx, id, command))?;
    Ok(Loaded { product, found })
}

async fn load_places(tx: &Tx, command: &Command) -> Result<Found, StoreError> {
    let named = command.categories();
    if named.is_empty() {
        return Ok(Found::default());
    }
    let ((), found) = try_join!(lock_tree(tx, TreeLock::Shared), places(tx, named))?;
    Ok(found)
}

async fn load_product(
    tx: &Tx,
    id: ProductId,
    command: &Command,
) -> Result<Option<Stored<Product>>, StoreError> {
    if let Command::Create(_) = command {
        return Ok(None);
    }
    let ids = [id];
    let (locked, mut categories) = try_join!(lock(tx, &ids), category_ids(tx, &ids))?;
    Ok(locked.into_iter().next().map(|mut product| {
        product.value.category_ids = categories.remove(&id).unwrap_or_default();
        product
    }))
}

pub(super) async fn decide(
    tx: &Tx,
    loaded: Loaded,
    command: &Command,
    expected: &Expected,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    if let Command::Create(wish) = command {
        return create(tx, loaded.found, wish, command, at).await;
    }
    let Some(product) = loaded.product else {
        return Ok(Decision::refused(&Refusal::NoSuchProduct, Vec::new()));
    };
    let own = vec![(product_stream(product.value.id), product.version)];
    if !expected.allows(product.version) {
        return Ok(Decision::unchanged(Answer::mismatch(product.version), own));
    }
    let decided = decide_product(Some(&product.value), command, &loaded.found.places, at);
    let decision = match decided {
        Err(refusal) => Decision::refused(&refusal, own),
        Ok(events) => changed(product, command, &events, own),
    };
    Ok(decision.decided_on(loaded.found.positions))
}

fn changed(
    product: Stored<Product>,
    command: &Command,
    events: &[Event],
    own: Vec<(StreamId, u64)>,
) -> Decision {
    let mut batch = log::Batch::default();
    let product = append(product, events, &mut batch);
    let answer = Answer::Current {
        resource: of_product(&product),
        version: product.version,
    };
    if events.is_empty() {
        return Decision::unchanged(answer, own);
    }
    let recategorized = events
        .iter()
        .any(|event| matches!(event, Event::ProductCategorized(_)));
    let rows = match command {
        Command::ChangePrice(_) => Rows::Price(product),
        _ => Rows::Product {
            product,
            recategorized,
        },
    };
    Decision {
        batch,
        rows,
        ..Decision::unchanged(answer, Vec::new())
    }
}

async fn create(
    tx: &Tx,
    found: Found,
    wish: &CreateProduct,
    command: &product::Command,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    let events = match decide_product(None, command, &found.places, at) {
        Ok(events) => events,
        Err(refusal) => {
            return Ok(Decision::refused(&refusal, Vec::new()).decided_on(found.positions));
        }
    };
    let mut batch = log::Batch::default();
    let product = events
        .iter()
        .fold(None, evolve)
        .expect("creation makes a product");
    batch.push(1, &events[0]);
    let product = Stored {
        value: product,
        version: 1,
    };
    if insert(tx, &[&product]).await?.is_empty() {
        let holders = ids_by_sku(tx, &[&product.value.sku]).await?;
        let holders = holders
            .into_values()
            .map(|(id, version)| (product_stream(id), version));
        let decision = Decision::refused(&Refusal::SkuTaken, holders.collect());
        return Ok(decision.decided_on(found.positions));
    }
    let answer = Answer::Created {
        resource: of_product(&product),
        version: product.version,
    };
    let stock = open_stock(wish, at, &mut batch);
    let rows = Rows::NewProduct { product, stock };
    let decision = Decision {
        batch,
        rows,
        ..Decision::unchanged(answer, Vec::new())
    };
    Ok(decision.decided_on(found.positions))
}

fn open_stock(wish: &CreateProduct, at: DateTime<Utc>, batch: &mut log::Batch) -> Stored<Stock> {
    let empty = Stock::empty(wish.id, at);
    let opened = stock::decide(Some(&empty), &stock::Command::Open(wish.inventory), at);
    let events = opened.expect("an inventory is within the bounds of a stock");
    let version = u64::from(!events.is_empty());
    for event in &events {
        batch.push(version, event);
    }
    Stored {
        value: events.iter().fold(empty, stock::evolve),
        version,
    }
}

fn append(product: Stored<Product>, events: &[Event], batch: &mut log::Batch) -> Stored<Product> {
    let Stored { value, mut version } = product;
    let mut state = Some(value);
    for event in events {
        version += 1;
        batch.push(version, event);
        state = evolve(state, event);
    }
    Stored {
        value: state.expect("no event takes a product away"),
        version,
    }
}
