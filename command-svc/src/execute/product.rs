//! Commands of products. Those that name categories copy their paths, under the tree's lock.

use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::{Event, StreamId};
use schemas::id::ProductId;

use super::answer::{Answer, of_product};
use super::decision::Decision;
use super::expected::Expected;
use crate::domain::Aggregate;
use crate::domain::category::Places;
use crate::domain::product::{Command, Product, Refusal};
use crate::store::category::{Found, TreeLock, lock_tree, places};
use crate::store::log::product_stream;
use crate::store::product::{category_ids, holders_of_sku, insert, lock};
use crate::store::{Changes, StoreError, Stored, Tx};

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
    if let Command::Create(_) = command {
        if !expected.allows_creation() {
            return Ok(Decision::unchanged(Answer::nothing_to_match(), Vec::new()));
        }
        return create(tx, loaded.found, command, at).await;
    }
    let Some(product) = loaded.product else {
        return Ok(Decision::refused(&Refusal::NoSuchProduct, Vec::new()));
    };
    let places = &loaded.found.places;
    let decision = change(product, command, expected, places, at);
    Ok(decision.decided_on(loaded.found.positions))
}

/// Of a product that exists; `places` as for the domain's `decide`.
pub(super) fn change(
    product: Stored<Product>,
    command: &Command,
    expected: &Expected,
    places: &Places,
    at: DateTime<Utc>,
) -> Decision {
    let own = vec![(product_stream(product.value.id), product.version)];
    if !expected.allows(product.version) {
        return Decision::unchanged(Answer::mismatch(product.version), own);
    }
    match Product::decide(Some(&product.value), command, places, at) {
        Err(refusal) => Decision::refused(&refusal, own),
        Ok(events) => changed(product, events, own),
    }
}

fn changed(product: Stored<Product>, events: Vec<Event>, own: Vec<(StreamId, u64)>) -> Decision {
    let id = product.value.id;
    let changes = Changes::of(Some(product), events);
    let product = changes.get::<Product>(id).expect("it is held");
    let answer = Answer::Current {
        resource: of_product(product),
        version: product.version,
    };
    if changes.is_empty() {
        return Decision::unchanged(answer, own);
    }
    Decision {
        changes,
        ..Decision::unchanged(answer, Vec::new())
    }
}

async fn create(
    tx: &Tx,
    found: Found,
    command: &Command,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    let decision = match Product::decide(None, command, &found.places, at) {
        Err(refusal) => Decision::refused(&refusal, Vec::new()),
        Ok(events) => {
            let changes = Changes::of::<Product>(None, events);
            let products = changes.created();
            let [product] = products[..] else {
                unreachable!("a creation makes one product");
            };
            if insert(tx, &products).await?.is_empty() {
                sku_taken(tx, &product.value.sku).await?
            } else {
                let answer = Answer::Created {
                    resource: of_product(product),
                    version: product.version,
                };
                Decision {
                    changes,
                    ..Decision::unchanged(answer, Vec::new())
                }
            }
        }
    };
    Ok(decision.decided_on(found.positions))
}

async fn sku_taken(tx: &Tx, sku: &str) -> Result<Decision, StoreError> {
    let holders = holders_of_sku(tx, sku).await?;
    let streams = holders
        .into_iter()
        .map(|(id, version)| (product_stream(id), version))
        .collect();
    Ok(Decision::refused(&Refusal::SkuTaken, streams))
}
