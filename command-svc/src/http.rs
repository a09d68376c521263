//! REST: extract, command, reply. No SQL and no rules here.
//!
//! Router and OpenAPI document come from one list. All of it is for admins.

mod category;
mod described;
mod if_match;
mod import;
mod product;
mod reply;
mod request;
mod stock;

use described::Bearer;
pub use request::RequestRules;

chassis::routes! {
    #[openapi(
        info(title = "Tidemark commands", description = "The write side of Tidemark."),
        security(("bearer" = [])),
        modifiers(&Bearer),
    )]
    category::create,
    category::change,
    category::retire,
    product::create,
    product::change,
    product::change_price,
    product::change_listing,
    stock::move_stock,
    import::import_products,
}
