//! Events as commands would make them, and their rows.

use std::collections::BTreeMap;

use chassis::clock;
use schemas::event::{
    CategoryCreated, CategoryRef, CategoryRenamed, Event, PriceChanged, ProductCreated,
    ProductDetailsChanged,
};
use schemas::id::{CategoryId, ProductId};
use schemas::lane::Lane;
use schemas::money::Money;
use serde_json::Value;
use uuid::Uuid;

use super::now;

/// A category to put products in.
#[derive(Debug, Clone)]
pub struct Shelf {
    pub id: CategoryId,
    pub created: Event,
}

pub fn category(name: &str) -> Shelf {
    let id = CategoryId(clock::new_id());
    let path = vec![CategoryRef {
        id,
        name: name.to_owned(),
    }];
    let created = CategoryCreated {
        category_id: id,
        name: name.to_owned(),
        parent_id: None,
        path,
        occurred_at: now(),
    };
    Shelf {
        id,
        created: created.into(),
    }
}

pub fn renamed(id: CategoryId, name: &str) -> Event {
    CategoryRenamed {
        category_id: id,
        name: name.to_owned(),
        occurred_at: now(),
    }
    .into()
}

/// A new product, in a category or none.
pub fn product(name: &str, shelf: Option<(CategoryId, &str)>) -> (ProductId, Event) {
    let product_id = ProductId(clock::new_id());
    let path = |(id, name): (CategoryId, &str)| {
        vec![CategoryRef {
            id,
            name: name.to_owned(),
        }]
    };
    let created = ProductCreated {
        product_id,
        sku: format!("SKU-{product_id}"),
        name: name.to_owned(),
        description: String::new(),
        brand: String::new(),
        price: Money::new(100, "EUR").unwrap(),
        categories: shelf.map(path).into_iter().collect(),
        attributes: BTreeMap::new(),
        occurred_at: now(),
    };
    (product_id, created.into())
}

/// New products, all in one lane.
pub fn products_of_a_lane(lane: Lane) -> impl Iterator<Item = (ProductId, Event)> {
    let products = std::iter::repeat_with(|| product("Lamp", None));
    products.filter(move |(id, _)| Lane::of(*id) == lane)
}

pub fn moved_price(product_id: ProductId, amount: i64) -> Event {
    let price = Money::new(amount, "EUR").unwrap();
    PriceChanged {
        product_id,
        price,
        occurred_at: now(),
    }
    .into()
}

/// All details of a product anew.
pub fn detailed(product_id: ProductId, description: &str, attributes: &[(&str, &str)]) -> Event {
    let attributes = attributes.iter();
    ProductDetailsChanged {
        product_id,
        name: "Lamp".to_owned(),
        description: description.to_owned(),
        brand: String::new(),
        attributes: attributes
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        occurred_at: now(),
    }
    .into()
}

/// Rows for the append step, a broadcast as one in every lane.
#[derive(Debug, Default)]
pub struct Rows(Vec<(Lane, Event, u64)>);

/// The same as arrays.
pub struct Parameters {
    pub lanes: Vec<i16>,
    pub event_ids: Vec<Uuid>,
    pub subjects: Vec<Option<Uuid>>,
    pub stream_ids: Vec<String>,
    pub stream_versions: Vec<i64>,
    pub types: Vec<&'static str>,
    pub versions: Vec<i16>,
    pub data: Vec<Value>,
}

impl Rows {
    pub fn push(&mut self, event: &Event, stream_version: u64) {
        let own = event.subject().map(Lane::of);
        let lanes = Lane::all().filter(|lane| own.is_none_or(|own| own == *lane));
        self.0
            .extend(lanes.map(|lane| (lane, event.clone(), stream_version)));
    }

    pub fn parameters(&self) -> Parameters {
        let rows = &self.0;
        Parameters {
            lanes: rows
                .iter()
                .map(|(lane, ..)| i16::from(lane.number()))
                .collect(),
            event_ids: rows.iter().map(|_| clock::new_id()).collect(),
            subjects: rows.iter().map(|(_, event, _)| event.subject()).collect(),
            stream_ids: rows
                .iter()
                .map(|(_, event, _)| event.stream_id().to_string())
                .collect(),
            stream_versions: rows
                .iter()
                .map(|(.., version)| version.cast_signed())
                .collect(),
            types: rows.iter().map(|(_, event, _)| event.type_name()).collect(),
            versions: rows
                .iter()
                .map(|(_, event, _)| event.version().cast_signed())
                .collect(),
            data: rows.iter().map(|(_, event, _)| event.to_data()).collect(),
        }
    }
}
