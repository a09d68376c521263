//! What the events of a creation make: a product, and its stock, which is there from then on.

use std::collections::HashMap;

use schemas::event::{Event, StreamId};

use super::Stored;
use super::log::{product_stream, stock_stream};
use crate::domain::product::{self, Product};
use crate::domain::stock::{self, Stock};

#[derive(Debug)]
pub struct NewProduct {
    pub product: Stored<Product>,
    /// At version 0 where it has no event of its own.
    pub stock: Stored<Stock>,
    /// Each with its number in its stream.
    pub events: Vec<(u64, Event)>,
}

impl NewProduct {
    /// Of the events that the rules of products answer to a creation.
    pub fn of(events: Vec<Event>) -> Self {
        let product = events.iter().fold(None, product::evolve);
        let product = product.expect("a creation makes a product");
        let stock = events.iter().fold(None, stock::evolve);
        let stock = stock.expect("a stock is there from its product's creation on");
        let mut versions: HashMap<StreamId, u64> = HashMap::new();
        let number = |event: Event| {
            let version = versions.entry(event.stream_id()).or_default();
            *version += 1;
            (*version, event)
        };
        let events = events.into_iter().map(number).collect();
        let version_of = |stream| versions.get(&stream).copied().unwrap_or_default();
        Self {
            product: Stored {
                version: version_of(product_stream(product.id)),
                value: product,
            },
            stock: Stored {
                version: version_of(stock_stream(stock.product_id)),
                value: stock,
            },
            events,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use schemas::event::ProductCreated;
    use schemas::id::ProductId;
    use schemas::money::Money;
    use uuid::Uuid;

    use super::*;
    use crate::domain::number::Inventory;

    const LAMP: ProductId = ProductId(Uuid::from_u128(1));

    fn made_with(units: i64) -> NewProduct {
        let at = DateTime::UNIX_EPOCH;
        let created = ProductCreated {
            product_id: LAMP,
            sku: "L-1".to_owned(),
            name: "Lamp".to_owned(),
            description: String::new(),
            brand: String::new(),
            price: Money::new(5, "EUR").unwrap(),
            categories: Vec::new(),
            attributes: Default::default(),
            occurred_at: at,
        };
        let opening = stock::opening(LAMP, Inventory::parse(units).unwrap(), at);
        NewProduct::of([created.into()].into_iter().chain(opening).collect())
    }

    #[test]
    fn each_event_is_numbered_in_its_own_stream() {
        let made = made_with(3);
        let numbers: Vec<u64> = made.events.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 1]);
        assert_eq!((made.product.version, made.stock.version), (1, 1));
        assert_eq!(made.stock.value.on_hand, 3);
    }

    #[test]
    fn a_stock_without_units_is_at_version_0() {
        let made = made_with(0);
        assert_eq!((made.events.len(), made.product.version), (1, 1));
        assert_eq!((made.stock.version, made.stock.value.on_hand), (0, 0));
        assert_eq!(made.stock.value.product_id, LAMP);
    }
}
