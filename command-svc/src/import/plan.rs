//! What a batch does: for each line, the events that make the catalogue as the line says.
//!
//! Pure. The rules are those of the commands: a no-op produces no event, and an inventory
//! counts where the product is made.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::event::Event;
use schemas::id::{CategoryId, ProductId};
use schemas::problem::Problem;
use schemas::rest::import::LineStatus;

use super::batch::Entry;
use super::product_line::missing;
use super::tree::Grown;
use crate::domain::Aggregate;
use crate::domain::attributes::AttributesChange;
use crate::domain::category::Category;
use crate::domain::product::{
    Categories, ChangeProduct, CreateProduct, Product, ProductCommand, ProductRefusal,
};
use crate::domain::text::SkuKey;
use crate::execute::ToProblem;
use crate::store::{Changes, Stored};

/// Products by the key of their sku.
pub type BySku = HashMap<SkuKey, Stored<Product>>;

/// All that a batch writes, and what its lines are answered.
#[derive(Debug, Default)]
pub struct Plan {
    pub changes: Changes,
    pub answers: Vec<Answered>,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub number: u64,
    pub status: LineStatus,
    pub id: Option<ProductId>,
    pub problem: Option<Problem>,
}

impl Answered {
    pub fn refused(number: u64, problem: Problem) -> Self {
        Self {
            number,
            status: LineStatus::Refused,
            id: None,
            problem: Some(problem),
        }
    }
}

/// True where the line changes nothing about the product that is there.
pub fn is_unchanged(
    entry: &Entry,
    product: &Stored<Product>,
    grown: &Grown,
    at: DateTime<Utc>,
) -> bool {
    change(entry, &product.value, grown, at).is_ok_and(|events| events.is_empty())
}

/// Decides all lines of a batch on the products that are there.
pub fn plan(entries: &[Entry], mut known: BySku, grown: &Grown, at: DateTime<Utc>) -> Plan {
    let mut plan = Plan::default();
    plan.changes.extend(grown.events.iter().cloned());
    for entry in entries {
        let decided = match known.remove(&entry.line.sku_key) {
            Some(product) => plan
                .upsert(entry, product, grown, at)
                .map_err(|refusal| Box::new(refusal.to_problem())),
            None => new_product(entry, grown).and_then(|create| {
                plan.create(entry, create, grown, at)
                    .map_err(|refusal| Box::new(refusal.to_problem()))
            }),
        };
        let answered = decided.unwrap_or_else(|problem| Answered::refused(entry.number, *problem));
        plan.answers.push(answered);
    }
    plan
}

impl Plan {
    /// True where there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Products and categories that are written.
    pub fn written(&self) -> usize {
        let products = self.changes.changed::<Product>();
        products.count() + self.changes.created::<Category>().len()
    }

    fn create(
        &mut self,
        entry: &Entry,
        create: CreateProduct,
        grown: &Grown,
        at: DateTime<Utc>,
    ) -> Result<Answered, ProductRefusal> {
        let command = ProductCommand::Create(Box::new(create));
        let events = Product::decide(None, &command, &grown.places, at)?;
        self.changes.extend(events);
        Ok(answered(entry.number, LineStatus::Created, entry.id))
    }

    fn upsert(
        &mut self,
        entry: &Entry,
        product: Stored<Product>,
        grown: &Grown,
        at: DateTime<Utc>,
    ) -> Result<Answered, ProductRefusal> {
        let id = product.value.id;
        // Only a try of this very line, whose outcome was lost, can have made it under this id.
        let was_made_here = id == entry.id;
        let events = change(entry, &product.value, grown, at)?;
        let status = if was_made_here {
            LineStatus::Created
        } else if events.is_empty() {
            LineStatus::Unchanged
        } else {
            LineStatus::Updated
        };
        if !events.is_empty() {
            self.changes.hold(product);
            self.changes.extend(events);
        }
        Ok(answered(entry.number, status, id))
    }
}

fn answered(number: u64, status: LineStatus, id: ProductId) -> Answered {
    Answered {
        number,
        status,
        id: Some(id),
        problem: None,
    }
}

fn change(
    entry: &Entry,
    product: &Product,
    grown: &Grown,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, ProductRefusal> {
    let line = &*entry.line;
    let change = ProductCommand::Change(Box::new(ChangeProduct {
        name: line.name.clone(),
        description: line.description.clone(),
        brand: line.brand.clone(),
        categories: line.paths.is_some().then(|| categories(entry, grown)),
        attributes: line.attributes.clone().map(AttributesChange::Replace),
    }));
    let mut events = Product::decide(Some(product), &change, &grown.places, at)?;
    if let Some(price) = line.price {
        let price = ProductCommand::ChangePrice(price);
        events.extend(Product::decide(Some(product), &price, &grown.places, at)?);
    }
    Ok(events)
}

/// The product that a line with a new sku makes, or which members the line lacks.
fn new_product(entry: &Entry, grown: &Grown) -> Result<CreateProduct, Box<Problem>> {
    let line = &*entry.line;
    let (Some(name), Some(price)) = (line.name.clone(), line.price) else {
        let lacking = [
            ("name", line.name.is_none()),
            ("price", line.price.is_none()),
        ];
        let lacking = lacking.into_iter().filter(|(_, is_missing)| *is_missing);
        let violations: Vec<_> = lacking.map(|(member, _)| missing(member)).collect();
        return Err(Box::new(Problem::validation(&violations)));
    };
    Ok(CreateProduct {
        id: entry.id,
        sku: line.sku.clone(),
        name,
        description: line.description.clone().unwrap_or_default(),
        brand: line.brand.clone().unwrap_or_default(),
        price,
        categories: categories(entry, grown),
        attributes: line.attributes.clone().unwrap_or_default(),
        inventory: line.inventory,
    })
}

fn categories(entry: &Entry, grown: &Grown) -> Categories {
    let ids = entry
        .categories
        .iter()
        .map(|node| -> CategoryId { grown.ids[*node] });
    Categories::parse(ids).expect("a line names no more categories than a product may have")
}

#[cfg(test)]
mod tests;
