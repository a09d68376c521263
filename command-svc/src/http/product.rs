//! `/v1/products`, and the price and listing of one: routes and bodies; how products and their
//! refusals look.

use actix_web::{HttpResponse, web};
use chassis::clock;
use chassis::problem::ApiError;
use schemas::id::{CategoryId, ProductId};
use schemas::money::Money;
use schemas::problem::{Problem, ProblemType, Violation};
use schemas::rest::command::{self as rest, Patch};
use serde_json::json;
use uuid::Uuid;

use super::described::{CommandHeaders, Problems};
use super::request::{CommandBody, CommandRequest};
use crate::domain::attributes::AttributesChange;
use crate::domain::category::Places;
use crate::domain::product::{
    Categories, ChangeProduct, CreateProduct, Product, ProductCommand, ProductRefusal,
};
use crate::execute::{Resource, ToProblem};
use crate::parse::{Fields, Invalid, clearable};

/// Adds a product, listed from the start, with what is in stock of it.
#[utoipa::path(
    post, path = "/v1/products", tag = "products", params(CommandHeaders),
    request_body = rest::CreateProduct,
    responses((status = 201, body = rest::Product, headers(
        ("ETag" = String), ("Location" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn create(request: CommandRequest, body: CommandBody) -> Result<HttpResponse, ApiError> {
    let id = ProductId(clock::new_id());
    let wish = CreateProduct::try_from((id, body.parse::<rest::CreateProduct>()?))?;
    request
        .execute::<Product>(id, ProductCommand::Create(Box::new(wish)), body.bytes())
        .await
}

/// Changes what a product is, or which categories it is in (JSON merge patch).
#[utoipa::path(
    patch, path = "/v1/products/{id}", tag = "products",
    params(("id" = ProductId, Path), CommandHeaders),
    request_body(content = rest::ChangeProduct, content_type = "application/merge-patch+json"),
    responses((status = 200, body = rest::Product, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn change(
    request: CommandRequest,
    id: web::Path<ProductId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = ChangeProduct::try_from(body.parse::<rest::ChangeProduct>()?)?;
    request
        .execute::<Product>(*id, ProductCommand::Change(Box::new(wish)), body.bytes())
        .await
}

/// Changes what a product costs.
#[utoipa::path(
    put, path = "/v1/products/{id}/price", tag = "products",
    params(("id" = ProductId, Path), CommandHeaders),
    request_body = rest::MoneyBody,
    responses((status = 200, body = rest::Product, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn change_price(
    request: CommandRequest,
    id: web::Path<ProductId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = ProductCommand::ChangePrice(price(&body.parse()?)?);
    request.execute::<Product>(*id, wish, body.bytes()).await
}

/// Takes a product out of search, or brings it back. Its page stays either way.
#[utoipa::path(
    put, path = "/v1/products/{id}/listing", tag = "products",
    params(("id" = ProductId, Path), CommandHeaders),
    request_body = rest::ChangeListing,
    responses((status = 200, body = rest::Product, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn change_listing(
    request: CommandRequest,
    id: web::Path<ProductId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = ProductCommand::ChangeListing(body.parse::<rest::ChangeListing>()?.listed);
    request.execute::<Product>(*id, wish, body.bytes()).await
}

impl TryFrom<(ProductId, rest::CreateProduct)> for CreateProduct {
    type Error = Invalid;

    fn try_from((id, body): (ProductId, rest::CreateProduct)) -> Result<Self, Invalid> {
        let mut fields = Fields::of_rest_body();
        let sku = fields.sku(&body.sku);
        let name = fields.name(&body.name);
        let description = fields.description(&body.description);
        let brand = fields.brand(&body.brand);
        let price = fields.money("/price", &body.price);
        let categories = categories(&mut fields, body.category_ids);
        let attributes = fields.attributes(body.attributes);
        let inventory = fields.inventory(body.inventory);
        let create = (|| {
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
        Ok(fields.into_result(create)?)
    }
}

impl TryFrom<rest::ChangeProduct> for ChangeProduct {
    type Error = Invalid;

    fn try_from(body: rest::ChangeProduct) -> Result<Self, Invalid> {
        let mut fields = Fields::of_rest_body();
        let name = fields.required("/name", body.name);
        let name = name.and_then(|name| fields.name(&name));
        let description = clearable(body.description);
        let description = description.and_then(|text| fields.description(&text));
        let brand = clearable(body.brand).and_then(|text| fields.brand(&text));
        let ids = clearable(body.category_ids);
        let categories = ids.and_then(|ids| categories(&mut fields, ids));
        let attributes = match body.attributes {
            Patch::Absent => None,
            Patch::Null => Some(AttributesChange::Clear),
            Patch::Value(merge) => fields.take_all(AttributesChange::parse_merge(merge)),
        };
        let change = Self {
            name,
            description,
            brand,
            categories,
            attributes,
        };
        Ok(fields.into_result(Some(change))?)
    }
}

/// The body of a price on its own.
fn price(body: &rest::MoneyBody) -> Result<Money, Invalid> {
    let mut fields = Fields::of_rest_body();
    let price = fields.money("", body);
    Ok(fields.into_result(price)?)
}

fn categories(fields: &mut Fields, ids: Vec<Uuid>) -> Option<Categories> {
    let ids = ids.into_iter().map(CategoryId);
    fields.take("/category_ids", Categories::parse(ids))
}

impl Resource for Product {
    type Body = rest::Product;

    fn location(&self) -> Option<String> {
        Some(format!("/v1/products/{}", self.id))
    }

    fn present(&self, _: &Places) -> rest::Product {
        let own = self.clone();
        rest::Product {
            id: own.id,
            sku: own.sku,
            name: own.name,
            description: own.description,
            brand: own.brand,
            price: rest::MoneyBody {
                amount: own.price.amount,
                currency: own.price.currency.code().to_owned(),
            },
            category_ids: own.category_ids,
            attributes: own.attributes,
            listed: own.listed,
            created_at: own.created_at,
            updated_at: own.updated_at,
        }
    }
}

impl ToProblem for ProductRefusal {
    fn to_problem(&self) -> Problem {
        match self {
            Self::NoSuchProduct => Problem::new(ProblemType::NotFound, "no product has this id"),
            Self::SkuTaken => Problem::new(ProblemType::SkuTaken, "choose another sku").with(
                "errors",
                json!([{"pointer": "/sku", "message": "is taken"}]),
            ),
            Self::Place(refusal) => refusal.to_problem(),
            Self::Attributes(message) => {
                Problem::validation(&[Violation::new("/attributes", message)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[rstest]
    #[case(ProductRefusal::NoSuchProduct, ProblemType::NotFound, json!({}))]
    #[case(
        ProductRefusal::SkuTaken,
        ProblemType::SkuTaken,
        json!({"errors": [{"pointer": "/sku", "message": "is taken"}]})
    )]
    #[case(
        ProductRefusal::Attributes("too many".to_owned()),
        ProblemType::Validation,
        json!({"errors": [{"pointer": "/attributes", "message": "too many"}]})
    )]
    fn a_refusal_names_its_type_and_what_it_is_about(
        #[case] refusal: ProductRefusal,
        #[case] problem_type: ProblemType,
        #[case] members: Value,
    ) {
        let problem = refusal.to_problem();
        assert!(problem.is(problem_type), "{problem:?}");
        assert_eq!(Value::from(problem.members), members);
    }
}
