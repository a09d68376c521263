//! The view `products`: one document a product, with everything that a shop page or a search needs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::categories::{move_on_path, rename_on_path};
use super::{FoldError, Targets, ViewDocument};
use crate::event::category::CategoryPath;
use crate::event::{Envelope, Event, ProductCreated, StreamKind};
use crate::id::{CategoryId, ProductId};
use crate::lane::{Lane, Seq};
use crate::money::Money;
use crate::text::{comparing_key, sku_key};

/// Field that holds the ids of all categories on all paths: a category and its descendants match.
pub const CATEGORY_IDS: &str = "category_ids";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductDocument {
    pub product_id: ProductId,
    pub lane: Lane,
    pub seq: Seq,
    /// Version of the product stream; stock does not change it.
    pub stream_version: u64,
    pub sku: String,
    /// What the sku is compared by.
    #[serde(default)]
    pub sku_key: String,
    pub name: String,
    pub description: String,
    pub brand: String,
    /// What the brand is compared by, where it is not the brand itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand_key: Option<String>,
    pub price: Money,
    pub categories: Vec<CategoryOfProduct>,
    pub category_ids: Vec<CategoryId>,
    pub attributes: BTreeMap<String, String>,
    /// What names and values of attributes are compared by, of those that are not their own keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribute_keys: BTreeMap<String, String>,
    /// The attributes' values as text to search in; `attributes` itself is for exact filters.
    #[serde(default)]
    pub attribute_values: Vec<String>,
    pub listed: bool,
    pub on_hand: i64,
    pub reserved: i64,
    pub available: i64,
    pub in_stock: bool,
    pub num_reviews: u32,
    /// Sum of all ratings; the average is made of it, so that it never drifts.
    pub rating_sum: u64,
    /// None before the first review.
    pub avg_rating: Option<f64>,
    /// How many reviews gave 1, 2, 3, 4, 5.
    pub rating_histogram: [u32; 5],
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub removed: bool,
}

/// A category that the product is in, with the way to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryOfProduct {
    pub id: CategoryId,
    pub name: String,
    /// From the root down to the category itself.
    pub path: CategoryPath,
}

impl ViewDocument for ProductDocument {
    /// 2: keys by which sku, brand and attributes are compared; long values of attributes are indexed.
    const VERSION: u32 = 2;

    fn targets(event: &Event) -> Targets {
        let one = |id: ProductId| Targets::These(vec![id.0]);
        match event {
            Event::ProductCreated(event) => one(event.product_id),
            Event::ProductDetailsChanged(event) => one(event.product_id),
            Event::ProductCategorized(event) => one(event.product_id),
            Event::PriceChanged(event) => one(event.product_id),
            Event::ProductListed(event) => one(event.product_id),
            Event::ProductUnlisted(event) => one(event.product_id),
            Event::StockAdjusted(event) => one(event.product_id),
            Event::CategoryRenamed(event) => Targets::Where {
                field: CATEGORY_IDS,
                id: event.category_id.0,
            },
            Event::CategoryMoved(event) => Targets::Where {
                field: CATEGORY_IDS,
                id: event.category_id.0,
            },
            _ => Targets::None,
        }
    }

    fn create(envelope: &Envelope) -> Result<Self, FoldError> {
        let Event::ProductCreated(created) = &envelope.event else {
            let event = envelope.event.type_name();
            return Err(FoldError::NoDocument { event });
        };
        let mut document = Self::new(created, envelope.lane);
        document.advance(envelope);
        Ok(document)
    }

    fn fold(&mut self, envelope: &Envelope) -> Result<(), FoldError> {
        self.apply(&envelope.event)?;
        self.advance(envelope);
        Ok(())
    }

    fn id(&self) -> Uuid {
        self.product_id.0
    }

    fn lane(&self) -> Lane {
        self.lane
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    fn stream_version(&self) -> u64 {
        self.stream_version
    }

    fn references(&self) -> impl Iterator<Item = (&'static str, Uuid)> {
        self.category_ids.iter().map(|id| (CATEGORY_IDS, id.0))
    }
}

impl ProductDocument {
    fn new(created: &ProductCreated, lane: Lane) -> Self {
        let mut document = Self {
            product_id: created.product_id,
            lane,
            seq: 0,
            stream_version: 0,
            sku: created.sku.clone(),
            sku_key: sku_key(&created.sku),
            name: created.name.clone(),
            description: created.description.clone(),
            brand: String::new(),
            brand_key: None,
            price: created.price,
            categories: Vec::new(),
            category_ids: Vec::new(),
            attributes: BTreeMap::new(),
            attribute_keys: BTreeMap::new(),
            attribute_values: Vec::new(),
            listed: true,
            on_hand: 0,
            reserved: 0,
            available: 0,
            in_stock: false,
            num_reviews: 0,
            rating_sum: 0,
            avg_rating: None,
            rating_histogram: [0; 5],
            created_at: created.occurred_at,
            updated_at: created.occurred_at,
            removed: false,
        };
        document.set_brand(&created.brand);
        document.set_attributes(&created.attributes);
        document.set_paths(created.categories.clone());
        document
    }

    fn advance(&mut self, envelope: &Envelope) {
        self.updated_at = envelope.event.occurred_at();
        self.seq = envelope.seq;
        if envelope.stream_id.kind == StreamKind::Product {
            self.stream_version = envelope.stream_version;
        }
    }

    fn apply(&mut self, event: &Event) -> Result<(), FoldError> {
        match event {
            Event::ProductDetailsChanged(changed) => {
                self.name.clone_from(&changed.name);
                self.description.clone_from(&changed.description);
                self.set_brand(&changed.brand);
                self.set_attributes(&changed.attributes);
            }
            Event::ProductCategorized(categorized) => {
                self.set_paths(categorized.categories.clone());
            }
            Event::PriceChanged(changed) => self.price = changed.price,
            Event::ProductListed(_) => self.listed = true,
            Event::ProductUnlisted(_) => self.listed = false,
            Event::StockAdjusted(adjusted) => {
                self.set_stock(adjusted.on_hand, adjusted.reserved);
            }
            Event::CategoryRenamed(renamed) => self.change_paths(|path| {
                rename_on_path(path, renamed.category_id, &renamed.name);
            }),
            Event::CategoryMoved(moved) => self.change_paths(|path| {
                move_on_path(path, moved.category_id, &moved.ancestors);
            }),
            Event::ProductCreated(_) => {
                let event = event.type_name();
                return Err(FoldError::AlreadyThere { event });
            }
            other => {
                return Err(FoldError::NotTargeted {
                    event: other.type_name(),
                });
            }
        }
        Ok(())
    }

    fn set_brand(&mut self, brand: &str) {
        brand.clone_into(&mut self.brand);
        let key = comparing_key(brand);
        self.brand_key = (key != brand).then(|| key.into_owned());
    }

    fn set_attributes(&mut self, attributes: &BTreeMap<String, String>) {
        self.attributes.clone_from(attributes);
        let keys = attributes.iter().map(|(name, value)| {
            let (name_key, value_key) = (comparing_key(name), comparing_key(value));
            let is_own = name_key == *name && value_key == *value;
            (!is_own).then(|| (name_key.into_owned(), value_key.into_owned()))
        });
        self.attribute_keys = keys.flatten().collect();
        self.attribute_values = attributes.values().cloned().collect();
    }

    fn set_stock(&mut self, on_hand: i64, reserved: i64) {
        self.on_hand = on_hand;
        self.reserved = reserved;
        self.available = on_hand - reserved;
        self.in_stock = self.available > 0;
    }

    fn change_paths(&mut self, change: impl Fn(&mut CategoryPath)) {
        let paths = self.categories.drain(..).map(|category| {
            let mut path = category.path;
            change(&mut path);
            path
        });
        let paths = paths.collect();
        self.set_paths(paths);
    }

    fn set_paths(&mut self, paths: Vec<CategoryPath>) {
        let mut ids: Vec<_> = paths.iter().flatten().map(|step| step.id).collect();
        ids.sort_unstable();
        ids.dedup();
        self.category_ids = ids;
        self.categories = paths
            .into_iter()
            .filter_map(|path| {
                let own = path.last()?.clone();
                Some(CategoryOfProduct {
                    id: own.id,
                    name: own.name,
                    path,
                })
            })
            .collect();
    }
}

#[cfg(test)]
mod tests;
