//! A product: what it is, what it costs, which categories it is in, whether it is listed.
//!
//! Only the product's own stream is folded here; its stock has another, so that selling does not
//! change the version of the product.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemas::event::category::CategoryPath;
use schemas::event::{
    Event, PriceChanged, ProductCategorized, ProductCreated, ProductDetailsChanged, ProductListed,
    ProductUnlisted, StreamKind,
};
use schemas::id::{CategoryId, ProductId};
use schemas::money::Money;

use super::aggregate::Aggregate;
use super::attributes::{Attributes, AttributesChange};
use super::category::{PlaceRefusal, Places};
use super::number::Inventory;
use super::refusal::{RefusalKind, Refuse};
use super::stock;
use super::text::{Brand, Description, Name, Sku};

/// Categories that one product may be in.
pub const MAX_CATEGORIES: usize = 20;

/// The fold of a product's own events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    pub sku: String,
    pub name: String,
    pub description: String,
    pub brand: String,
    pub price: Money,
    /// In the order in which the client named them.
    pub category_ids: Vec<CategoryId>,
    pub attributes: BTreeMap<String, String>,
    pub listed: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductCommand {
    Create(Box<CreateProduct>),
    Change(Box<ChangeProduct>),
    ChangePrice(Money),
    ChangeListing(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateProduct {
    pub id: ProductId,
    pub sku: Sku,
    pub name: Name,
    pub description: Description,
    pub brand: Brand,
    pub price: Money,
    pub categories: Categories,
    pub attributes: Attributes,
    /// Becomes the first event of the stock's stream, where there are units.
    pub inventory: Inventory,
}

/// None leaves a field alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeProduct {
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub brand: Option<Brand>,
    pub categories: Option<Categories>,
    pub attributes: Option<AttributesChange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductRefusal {
    NoSuchProduct,
    SkuTaken,
    /// A category that the command names.
    Place(PlaceRefusal),
    /// Bounds that only show once the merge patch meets what is there.
    Attributes(String),
}

/// Ids of categories, each once, in order, not too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Categories(Vec<CategoryId>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must name at most {MAX_CATEGORIES} categories")]
pub struct TooManyCategories;

impl Categories {
    /// Named twice is named once.
    pub fn parse(ids: impl IntoIterator<Item = CategoryId>) -> Result<Self, TooManyCategories> {
        let mut parsed = Vec::new();
        for id in ids {
            if !parsed.contains(&id) {
                parsed.push(id);
            }
            if parsed.len() > MAX_CATEGORIES {
                return Err(TooManyCategories);
            }
        }
        Ok(Self(parsed))
    }

    pub fn ids(&self) -> &[CategoryId] {
        &self.0
    }

    fn paths(&self, places: &Places) -> Result<Vec<CategoryPath>, PlaceRefusal> {
        self.0
            .iter()
            .map(|id| places.living(*id).cloned())
            .collect()
    }
}

impl ProductCommand {
    /// The categories that have to be looked up before this can be decided.
    pub fn categories(&self) -> &[CategoryId] {
        match self {
            Self::Create(wish) => wish.categories.ids(),
            Self::Change(wish) => wish.categories.as_ref().map_or(&[], Categories::ids),
            Self::ChangePrice(_) | Self::ChangeListing(_) => &[],
        }
    }
}

impl Refuse for ProductRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchProduct => RefusalKind::NotFound,
            Self::SkuTaken | Self::Place(_) => RefusalKind::Rule,
            Self::Attributes(_) => RefusalKind::Invalid,
        }
    }
}

impl From<PlaceRefusal> for ProductRefusal {
    fn from(refusal: PlaceRefusal) -> Self {
        Self::Place(refusal)
    }
}

impl Aggregate for Product {
    type Id = ProductId;
    type Command = ProductCommand;
    type Refusal = ProductRefusal;
    /// Holds what `ProductCommand::categories` names, where it exists.
    type Context = Places;

    const STREAM: StreamKind = StreamKind::Product;

    fn id(&self) -> ProductId {
        self.id
    }

    fn command_name(command: &ProductCommand) -> &'static str {
        match command {
            ProductCommand::Create(_) => "create_product",
            ProductCommand::Change(_) => "change_product",
            ProductCommand::ChangePrice(_) => "change_price",
            ProductCommand::ChangeListing(_) => "change_listing",
        }
    }

    fn creates(command: &ProductCommand) -> bool {
        matches!(command, ProductCommand::Create(_))
    }

    fn decide(
        state: Option<&Self>,
        command: &ProductCommand,
        places: &Places,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, ProductRefusal> {
        match (state, command) {
            (None, ProductCommand::Create(wish)) => create(wish, places, at),
            // Whatever is there holds the sku.
            (Some(_), ProductCommand::Create(_)) => Err(ProductRefusal::SkuTaken),
            (None, _) => Err(ProductRefusal::NoSuchProduct),
            (Some(product), ProductCommand::Change(wish)) => change(product, wish, places, at),
            (Some(product), ProductCommand::ChangePrice(price)) => {
                Ok(change_price(product, *price, at))
            }
            (Some(product), ProductCommand::ChangeListing(listed)) => {
                Ok(change_listing(product, *listed, at))
            }
        }
    }

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        if let Event::ProductCreated(created) = event {
            return Some(from_created(created));
        }
        let mut product = state?;
        match event {
            Event::ProductDetailsChanged(changed) => {
                product.name.clone_from(&changed.name);
                product.description.clone_from(&changed.description);
                product.brand.clone_from(&changed.brand);
                product.attributes.clone_from(&changed.attributes);
            }
            Event::ProductCategorized(categorized) => {
                product.category_ids = ids_of(&categorized.categories);
            }
            Event::PriceChanged(changed) => product.price = changed.price,
            Event::ProductListed(_) => product.listed = true,
            Event::ProductUnlisted(_) => product.listed = false,
            _ => return Some(product),
        }
        product.updated_at = event.occurred_at();
        Some(product)
    }
}

fn create(
    wish: &CreateProduct,
    places: &Places,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, ProductRefusal> {
    let created = ProductCreated {
        product_id: wish.id,
        sku: wish.sku.to_string(),
        name: wish.name.to_string(),
        description: wish.description.to_string(),
        brand: wish.brand.to_string(),
        price: wish.price,
        categories: wish.categories.paths(places)?,
        attributes: wish.attributes.as_map().clone(),
        occurred_at: at,
    };
    // The views know of no stock before its product.
    let opening = stock::opening(wish.id, wish.inventory, at);
    Ok([created.into()].into_iter().chain(opening).collect())
}

fn change(
    product: &Product,
    wish: &ChangeProduct,
    places: &Places,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, ProductRefusal> {
    let mut events = Vec::new();
    let details = details_after(product, wish, at)?;
    let before = (
        &product.name,
        &product.description,
        &product.brand,
        &product.attributes,
    );
    if before
        != (
            &details.name,
            &details.description,
            &details.brand,
            &details.attributes,
        )
    {
        events.push(details.into());
    }
    if let Some(categories) = &wish.categories {
        let paths = categories.paths(places)?;
        if categories.ids() != product.category_ids {
            let categorized = ProductCategorized {
                product_id: product.id,
                categories: paths,
                occurred_at: at,
            };
            events.push(categorized.into());
        }
    }
    Ok(events)
}

fn details_after(
    product: &Product,
    wish: &ChangeProduct,
    at: DateTime<Utc>,
) -> Result<ProductDetailsChanged, ProductRefusal> {
    fn or(wish: Option<&impl AsRef<str>>, before: &str) -> String {
        wish.map_or(before, AsRef::as_ref).to_owned()
    }
    let attributes = match &wish.attributes {
        None => product.attributes.clone(),
        Some(change) => change
            .apply(&product.attributes)
            .map_err(ProductRefusal::Attributes)?,
    };
    Ok(ProductDetailsChanged {
        product_id: product.id,
        name: or(wish.name.as_ref(), &product.name),
        description: or(wish.description.as_ref(), &product.description),
        brand: or(wish.brand.as_ref(), &product.brand),
        attributes,
        occurred_at: at,
    })
}

fn change_price(product: &Product, price: Money, at: DateTime<Utc>) -> Vec<Event> {
    if product.price == price {
        return Vec::new();
    }
    vec![
        PriceChanged {
            product_id: product.id,
            price,
            occurred_at: at,
        }
        .into(),
    ]
}

fn change_listing(product: &Product, listed: bool, at: DateTime<Utc>) -> Vec<Event> {
    let (product_id, occurred_at) = (product.id, at);
    match (product.listed, listed) {
        (true, true) | (false, false) => Vec::new(),
        (false, true) => vec![
            ProductListed {
                product_id,
                occurred_at,
            }
            .into(),
        ],
        (true, false) => vec![
            ProductUnlisted {
                product_id,
                occurred_at,
            }
            .into(),
        ],
    }
}

fn from_created(created: &ProductCreated) -> Product {
    Product {
        id: created.product_id,
        sku: created.sku.clone(),
        name: created.name.clone(),
        description: created.description.clone(),
        brand: created.brand.clone(),
        price: created.price,
        category_ids: ids_of(&created.categories),
        attributes: created.attributes.clone(),
        listed: true,
        created_at: created.occurred_at,
        updated_at: created.occurred_at,
    }
}

fn ids_of(paths: &[CategoryPath]) -> Vec<CategoryId> {
    paths
        .iter()
        .filter_map(|path| path.last())
        .map(|own| own.id)
        .collect()
}

#[cfg(test)]
mod tests;
