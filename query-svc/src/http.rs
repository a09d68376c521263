//! The routes of query-svc, all on one screen, and their OpenAPI document.

use actix_web::web::{ServiceConfig, get, resource};
use utoipa::{IntoResponses, OpenApi};

mod categories;
mod etag;
mod products;
mod search;
mod suggest;
mod tidemark;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/v1/products").route(get().to(search::search)))
        .service(resource("/v1/products/suggest").route(get().to(suggest::suggest)))
        .service(resource("/v1/categories").route(get().to(categories::tree)))
        .service(resource("/v1/categories/{id}").route(get().to(categories::one)))
        .service(resource("/v1/products/{id}").route(get().to(products::product)))
        .service(resource("/v1/tidemark").route(get().to(tidemark::state)));
}

/// What every read may answer beside its success; problems, as RFC 9457 has them.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described")]
enum Refusals {
    /// A tidemark, cursor or parameter that cannot be read.
    #[response(status = 400)]
    Malformed,
    /// A bearer token that is not valid, or no longer.
    #[response(status = 401)]
    Unauthenticated,
    /// A tidemark of another history, where the request is strict or the history was lost.
    #[response(status = 409)]
    HistoryChanged,
    /// Not visible yet, or a server is away: Retry-After says when.
    #[response(status = 503)]
    Unavailable,
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
        products::product,
        categories::tree,
        categories::one,
        tidemark::state
    )
)]
struct Document;
