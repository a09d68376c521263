//! Bodies become commands, or all of their violations are told at once.

use chassis::problem::ApiError;
use schemas::id::{CategoryId, ProductId};
use schemas::money::Money;
use schemas::problem::Violation;
use schemas::rest::command::{self as rest, Patch};
use uuid::Uuid;

use crate::domain::attributes::{Attributes, AttributesChange};
use crate::domain::category::ChangeCategory;
use crate::domain::number::{Delta, Inventory};
use crate::domain::product::{Categories, ChangeProduct, CreateProduct};
use crate::domain::text::{Brand, CategoryName, Description, Name, Reason, Sku};
use crate::domain::{Violations, category, stock};

/// What is wrong with a body.
#[derive(Debug)]
pub struct Invalid(Vec<Violation>);

impl From<Vec<Violation>> for Invalid {
    fn from(violations: Vec<Violation>) -> Self {
        Self(violations)
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::validation(&invalid.0)
    }
}

impl TryFrom<(CategoryId, rest::CreateCategory)> for category::Command {
    type Error = Invalid;

    fn try_from((id, body): (CategoryId, rest::CreateCategory)) -> Result<Self, Invalid> {
        let mut violations = Violations::default();
        let name = violations.take("/name", CategoryName::parse(&body.name));
        let parent_id = body.parent_id.map(CategoryId);
        Ok(violations.into_result(name.map(|name| Self::Create {
            id,
            name,
            parent_id,
        }))?)
    }
}

impl TryFrom<rest::ChangeCategory> for ChangeCategory {
    type Error = Invalid;

    fn try_from(body: rest::ChangeCategory) -> Result<Self, Invalid> {
        let mut violations = Violations::default();
        let name = required(&mut violations, "/name", body.name, |name| {
            CategoryName::parse(&name)
        });
        let parent_id = match body.parent_id {
            Patch::Absent => None,
            Patch::Null => Some(None),
            Patch::Value(id) => Some(Some(CategoryId(id))),
        };
        Ok(violations.into_result(Some(Self { name, parent_id }))?)
    }
}

impl TryFrom<(ProductId, rest::CreateProduct)> for CreateProduct {
    type Error = Invalid;

    fn try_from((id, body): (ProductId, rest::CreateProduct)) -> Result<Self, Invalid> {
        let mut violations = Violations::default();
        let sku = violations.take("/sku", Sku::parse(&body.sku));
        let name = violations.take("/name", Name::parse(&body.name));
        let description = violations.take("/description", Description::parse(&body.description));
        let brand = violations.take("/brand", Brand::parse(&body.brand));
        let price = violations.take_all(money(&body.price, "/price"));
        let categories = violations.take("/category_ids", categories(body.category_ids));
        let attributes = violations.take_all(Attributes::parse(body.attributes));
        let inventory = violations.take("/inventory", Inventory::parse(body.inventory));
        let built = (|| {
            Some(Self {
                id,
                sku: sku?,
                name: name?,
                description: description?,
                brand: brand?,
                price: price?,
                categories: categories?,
                attributes: attributes?,
                inventory: inventory?,
            })
        })();
        Ok(violations.into_result(built)?)
    }
}

impl TryFrom<rest::ChangeProduct> for ChangeProduct {
    type Error = Invalid;

    /// Null resets what may be empty.
    fn try_from(body: rest::ChangeProduct) -> Result<Self, Invalid> {
        let mut violations = Violations::default();
        let name = required(&mut violations, "/name", body.name, |name| {
            Name::parse(&name)
        });
        let description = reset(body.description)
            .and_then(|text| violations.take("/description", Description::parse(&text)));
        let brand =
            reset(body.brand).and_then(|text| violations.take("/brand", Brand::parse(&text)));
        let category_ids = reset(body.category_ids);
        let categories =
            category_ids.and_then(|ids| violations.take("/category_ids", categories(ids)));
        let attributes = match body.attributes {
            Patch::Absent => None,
            Patch::Null => Some(AttributesChange::Clear),
            Patch::Value(merge) => violations.take_all(AttributesChange::parse_merge(merge)),
        };
        let change = Self {
            name,
            description,
            brand,
            categories,
            attributes,
        };
        Ok(violations.into_result(Some(change))?)
    }
}

impl TryFrom<rest::MoveStock> for stock::Command {
    type Error = Invalid;

    fn try_from(body: rest::MoveStock) -> Result<Self, Invalid> {
        let mut violations = Violations::default();
        let delta = violations.take("/delta", Delta::parse(body.delta));
        let reason = violations.take("/reason", Reason::parse(&body.reason));
        let parsed = delta
            .zip(reason)
            .map(|(delta, reason)| Self::Move { delta, reason });
        Ok(violations.into_result(parsed)?)
    }
}

/// The body of a price on its own.
pub fn price(body: &rest::MoneyBody) -> Result<Money, Invalid> {
    Ok(money(body, "")?)
}

fn money(body: &rest::MoneyBody, pointer: &str) -> Result<Money, Vec<Violation>> {
    let mut violations = Violations::default();
    let currency = Money::new(0, &body.currency);
    let amount = Money::new(body.amount, "EUR");
    violations.take(&format!("{pointer}/amount"), amount);
    violations.take(&format!("{pointer}/currency"), currency);
    violations.into_result(Money::new(body.amount, &body.currency).ok())
}

fn categories(ids: Vec<Uuid>) -> Result<Categories, crate::domain::product::TooManyCategories> {
    Categories::parse(ids.into_iter().map(CategoryId))
}

/// A member that cannot be reset.
fn required<B, T, E: std::fmt::Display>(
    violations: &mut Violations,
    pointer: &str,
    member: Patch<B>,
    parse: impl FnOnce(B) -> Result<T, E>,
) -> Option<T> {
    match member {
        Patch::Absent => None,
        Patch::Null => {
            violations.add(pointer, "must not be null");
            None
        }
        Patch::Value(value) => violations.take(pointer, parse(value)),
    }
}

/// A member that null makes empty.
fn reset<T: Default>(member: Patch<T>) -> Option<T> {
    match member {
        Patch::Absent => None,
        Patch::Null => Some(T::default()),
        Patch::Value(value) => Some(value),
    }
}
