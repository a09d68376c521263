//! A product's page.

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::problem::ApiError;
use schemas::id::ProductId;
use schemas::rest::query::Product;
use schemas::view::View;

use super::Refusals;
use super::etag::Etag;
use super::reply::{refuse, reply, reply_error};
use crate::freshness::{Ladder, ReadOptions, Target};
use crate::present::PresentedProduct;

/// One product. Those taken out of the listing still have their page.
#[utoipa::path(
    get,
    path = "/v1/products/{id}",
    tag = "products",
    params(
        ("id" = ProductId, Path, description = "the product's id"),
        ("Tidemark" = Option<String>, Header, description = "up to 8 tidemarks, comma-separated"),
        ("Prefer" = Option<String>, Header, description = "wait=seconds, handling=strict|lenient"),
        ("If-None-Match" = Option<String>, Header, description = "ETag of an earlier answer"),
    ),
    responses(
        (status = 200, description = "the product, with ETag", body = Product),
        (status = 304, description = "the ETag is still the same"),
        (status = 404, description = "there is no such product"),
        Refusals,
    )
)]
pub(super) async fn product(
    id: web::Path<ProductId>,
    options: ReadOptions,
    ladder: web::Data<Ladder>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let target = Target::of_subject(*id);
    let read = ladder
        .by_id(&options, "product", &View::Products, target)
        .await
        .map_err(refuse(&options))?;
    let product: Option<PresentedProduct<'_>> = read.document()?;
    let Some(product) = product.filter(|product| !product.removed) else {
        return Err(reply_error(
            &read,
            ApiError::not_found("no product has this id"),
        ));
    };
    let etag = Etag {
        stream_version: product.stream_version,
        seq: product.seq,
        projection_version: read.version(View::Products),
    };
    if etag.is_known_to(&request) {
        let mut response = reply(&read, HttpResponse::NotModified());
        return Ok(response.insert_header(etag.header()).finish());
    }
    let mut response = reply(&read, HttpResponse::Ok());
    let response = response.insert_header(etag.header());
    Ok(response.json(product))
}
