//! The OpenAPI document of the write side, made from the handlers.

use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{category, import, product, stock};

#[derive(OpenApi)]
#[openapi(
    info(title = "Tidemark commands", description = "The write side of Tidemark."),
    paths(
        category::create,
        category::change,
        category::retire,
        product::create,
        product::change,
        product::change_price,
        product::change_listing,
        stock::move_stock,
        import::import_products,
    ),
    security(("bearer" = [])),
    modifiers(&Bearer),
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

pub fn openapi() -> Document {
    Api::openapi()
}
