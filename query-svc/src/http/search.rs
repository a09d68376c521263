//! Product search: parameters in, a page out. `search` holds what parameters are valid and what
//! Elasticsearch is asked; the ladder is responsible for freshness.

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::problem::ApiError;
use schemas::lane::LaneSeqs;
use schemas::problem::ProblemType;
use schemas::rest::query::ProductPage;
use schemas::view::View;

use super::Refusals;
use super::extract::parameters;
use super::problem::invalid_parameters;
use super::reply::{refuse, reply, reply_from};
use crate::freshness::{Ladder, ReadOptions, Reader, Reading};
use crate::search::page;
use crate::search::{Cursor, Facet, Paging, ProductSearch};

/// Listed products: by words, filters, in any order. `attr.<name>` filters by an attribute.
///
/// Words are looked for in names, brands, categories, attributes and descriptions, in any form
/// and with typing errors; a sku finds its product. Several values of one filter: any of them.
#[utoipa::path(
    get,
    path = "/v1/products",
    tag = "products",
    params(
        ("q" = Option<String>, Query, description = "words, at most 20,000 characters; those after the twelfth, or after 2,000 characters, are passed over"),
        ("category" = Option<Vec<uuid::Uuid>>, Query, description = "ids, with what is below them"),
        ("brand" = Option<Vec<String>>, Query, description = "as written in the products"),
        ("min_price" = Option<i64>, Query, description = "minor units, inclusive"),
        ("max_price" = Option<i64>, Query, description = "minor units, inclusive"),
        ("in_stock" = Option<bool>, Query, description = "whether units are available"),
        ("min_rating" = Option<f64>, Query, description = "average, from 0 to 5"),
        ("sort" = Option<String>, Query,
            description = "relevance, price, -price, rating, newest or name; without words, \
                           relevance is newest"),
        ("facets" = Option<String>, Query,
            description = "comma-separated: category, brand, price, rating, in_stock"),
        ("limit" = Option<u32>, Query, description = "1 to 100, else 20"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("Tidemark" = Option<String>, Header, description = "up to 8 tidemarks, comma-separated"),
        ("Prefer" = Option<String>, Header, description = "wait=seconds, handling=strict|lenient"),
    ),
    responses(
        (status = 200, description = "a page of products", body = ProductPage),
        (status = 422, description = "a parameter is not acceptable: errors names it"),
        Refusals,
    )
)]
pub(super) async fn search(
    options: ReadOptions,
    ladder: web::Data<Ladder>,
    paging: web::Data<Paging>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let search = ProductSearch::parse(&parameters(&request)?).map_err(invalid_parameters)?;
    let cursor = open_cursor(&paging, &search)?;
    let reading = Reading::search("search", views(&search));
    let read = ladder
        .search(&options, reading, async |reader: Reader<'_>| {
            paging.read(&reader, &search, cursor.as_ref()).await
        })
        .await
        .map_err(refuse(&options))?;
    let mut page = page::read(&search, &read.answer).map_err(ApiError::internal)?;
    for (view, position) in page.shown {
        match read.answer.earlier() {
            None => read.shows(view, position),
            Some(point) if view == View::Products => read.shows_beyond(&point.visible, position),
            // Categories are read as last written, not from the point in time.
            Some(_) => read.shows_beyond(&LaneSeqs::default(), position),
        }
    }
    page.body.next_cursor = page.last.map(|last| {
        let point = read.answer.point.as_deref().cloned();
        let cursor = Cursor::new(&search, read.answer.tolerance, &last, point);
        paging.seal_cursor(&cursor)
    });
    let mut response = match read.answer.earlier() {
        Some(point) => reply_from(&read, point.offset, HttpResponse::Ok()),
        None => reply(&read, HttpResponse::Ok()),
    };
    Ok(response.json(page.body))
}

/// Categories are read only for the names of those that a facet counts.
fn views(search: &ProductSearch) -> &'static [View] {
    if search.facets.contains(&Facet::Category) {
        &[View::Products, View::Categories]
    } else {
        &[View::Products]
    }
}

fn open_cursor(paging: &Paging, search: &ProductSearch) -> Result<Option<Cursor>, ApiError> {
    let Some(text) = &search.cursor else {
        return Ok(None);
    };
    let opened = paging.open_cursor(search, text);
    let detail = "a cursor continues the list that issued it, with the same q, filters and sort";
    opened
        .ok_or_else(|| ApiError::new(ProblemType::CursorMalformed, detail))
        .map(Some)
}
