//! REST: extract, command, reply. No SQL and no rules here.
//!
//! The route table is below, whole. All of it is for admins; `api.md` of the documentation and
//! `/openapi.json` say what each takes and answers.

use actix_web::web::{self, ServiceConfig, delete, patch, post, put};

mod category;
mod described;
mod if_match;
mod import;
mod openapi;
mod product;
mod reply;
mod request;
mod stock;

pub use openapi::openapi;
pub use request::RequestRules;

/// The route table.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/v1/categories").route(post().to(category::create)))
        .service(
            web::resource("/v1/categories/{id}")
                .route(patch().to(category::change))
                .route(delete().to(category::retire)),
        )
        .service(web::resource("/v1/products").route(post().to(product::create)))
        .service(web::resource("/v1/products/{id}").route(patch().to(product::change)))
        .service(web::resource("/v1/products/{id}/price").route(put().to(product::change_price)))
        .service(
            web::resource("/v1/products/{id}/listing").route(put().to(product::change_listing)),
        )
        .service(
            web::resource("/v1/products/{id}/stock-movements").route(post().to(stock::move_stock)),
        )
        .service(web::resource("/v1/imports/products").route(post().to(import::import_products)));
}
