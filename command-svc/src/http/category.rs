//! `/v1/categories`.

use actix_web::{HttpResponse, web};
use chassis::clock;
use chassis::problem::ApiError;
use schemas::id::CategoryId;
use schemas::rest::command as rest;

use super::openapi::{CommandHeaders, Problems};
use super::request::{CommandBody, CommandRequest};
use crate::domain::category::{ChangeCategory, Command as Wish};
use crate::execute::Command;

/// Adds a category to the tree, as a root or below another.
#[utoipa::path(
    post, path = "/v1/categories", tag = "categories", params(CommandHeaders),
    request_body = rest::CreateCategory,
    responses((status = 201, body = rest::Category, headers(
        ("ETag" = String), ("Location" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn create(request: CommandRequest, body: CommandBody) -> Result<HttpResponse, ApiError> {
    let id = CategoryId(clock::new_id());
    let wish = Wish::try_from((id, body.parse::<rest::CreateCategory>()?))?;
    request
        .execute(Command::Category(id, wish), body.bytes())
        .await
}

/// Renames a category, moves it with all below it, or both (JSON merge patch).
#[utoipa::path(
    patch, path = "/v1/categories/{id}", tag = "categories",
    params(("id" = CategoryId, Path), CommandHeaders),
    request_body(content = rest::ChangeCategory, content_type = "application/merge-patch+json"),
    responses((status = 200, body = rest::Category, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn change(
    request: CommandRequest,
    id: web::Path<CategoryId>,
    body: CommandBody,
) -> Result<HttpResponse, ApiError> {
    let wish = ChangeCategory::try_from(body.parse::<rest::ChangeCategory>()?)?;
    request
        .execute(Command::Category(*id, Wish::Change(wish)), body.bytes())
        .await
}

/// Retires a category; refused while products or living categories are in it.
#[utoipa::path(
    delete, path = "/v1/categories/{id}", tag = "categories",
    params(("id" = CategoryId, Path), CommandHeaders),
    responses((status = 200, body = rest::Category, headers(
        ("ETag" = String), ("Tidemark" = String)
    )), Problems)
)]
pub async fn retire(
    request: CommandRequest,
    id: web::Path<CategoryId>,
) -> Result<HttpResponse, ApiError> {
    request
        .execute(Command::Category(*id, Wish::Retire), &[])
        .await
}
