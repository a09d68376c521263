//! `/v1/products`, and the price, listing and stock of one.

use actix_web::{HttpResponse, web};
use chassis::clock;
use chassis::problem::ApiError;
use schemas::id::ProductId;
use schemas::rest::command as rest;

use super::body::price;
use super::openapi::{CommandHeaders, Problems};
use super::request::{CommandBody, CommandRequest};
use crate::domain::product::{ChangeProduct, Command as Wish, CreateProduct};
use crate::domain::stock;
use crate::execute::Command;

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
        .execute(
            Command::Product(id, Wish::Create(Box::new(wish))),
            body.bytes(),
        )
        .await
}

/// Changes what a product is, or where it stands in the tree (JSON merge patch).
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
        .execute(
            Command::Product(*id, Wish::Change(Box::new(wish))),
            body.bytes(),
        )
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
    let wish = Wish::ChangePrice(price(&body.parse()?)?);
    request
        .execute(Command::Product(*id, wish), body.bytes())
        .await
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
    let wish = Wish::ChangeListing(body.parse::<rest::ChangeListing>()?.listed);
    request
        .execute(Command::Product(*id, wish), body.bytes())
        .await
}

/// Moves units in or out of stock; never below what is reserved. ETag and If-Match are the
/// stock's own: selling does not change the version of the product.
#[utoipa::path(
    post, path = "/v1/products/{id}/stock-movements", tag = "products",
    params(("id" = ProductId, Path), CommandHeaders),
    request_body = rest::MoveStock,
    responses((status = 200, body = rest::Stock, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn move_stock(
    request: CommandRequest,
    id: web::Path<ProductId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = stock::Command::try_from(body.parse::<rest::MoveStock>()?)?;
    request
        .execute(Command::Stock(*id, wish), body.bytes())
        .await
}
