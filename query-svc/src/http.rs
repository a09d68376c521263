//! The routes of query-svc, all on one screen, and their OpenAPI document.

use actix_web::web::{ServiceConfig, get, resource};
use utoipa::OpenApi;

mod etag;
mod product;
mod tidemark;

pub fn routes(config: &mut ServiceConfig) {
    config
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
    paths(product::product, tidemark::state)
)]
struct Document;
