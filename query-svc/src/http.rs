//! The routes of query-svc, all on one screen, and their OpenAPI document.

use actix_web::web::{ServiceConfig, get, resource};
use utoipa::OpenApi;

mod categories;
mod etag;
mod product;
mod search;
mod suggest;
mod tidemark;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/v1/products").route(get().to(search::search)))
        .service(resource("/v1/products/suggest").route(get().to(suggest::suggest)))
        .service(resource("/v1/categories").route(get().to(categories::tree)))
        .service(resource("/v1/categories/{id}").route(get().to(categories::one)))
        .service(resource("/v1/products/{id}").route(get().to(product::product)))
        .service(resource("/v1/tidemark").route(get().to(tidemark::state)));
}

/// Served at `/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidemark query-svc",
        description = "Reads that are never older than what you have written or seen. Hand back \
                       the `Tidemark` header of any answer with the next request."
    ),
    paths(
        search::search,
        suggest::suggest,
        product::product,
        categories::tree,
        categories::one,
        tidemark::state
    )
)]
struct Document;
