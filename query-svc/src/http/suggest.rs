//! Suggestions as a shopper types.

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::elasticsearch::{ElasticsearchError, SearchAnswer};
use chassis::problem::ApiError;
use schemas::rest::query::Suggestions;
use schemas::view::View;

use super::Refusals;
use super::extract::parameters;
use super::problem::invalid_parameters;
use super::reply::{refuse, reply};
use crate::freshness::{Ladder, ReadOptions, Reader, Reading};
use crate::search::suggest::{self, Bodies};
use crate::search::{SuggestSearch, Tolerance};

type Answers = [SearchAnswer; 3];

/// Products, categories and brands that go with what was typed so far.
#[utoipa::path(
    get,
    path = "/v1/products/suggest",
    tag = "products",
    params(
        ("q" = String, Query, description = "what was typed, at most 20,000 characters"),
        ("limit" = Option<u32>, Query, description = "products, 1 to 20, else 8"),
        ("Tidemark" = Option<String>, Header, description = "up to 8 tidemarks, comma-separated"),
        ("Prefer" = Option<String>, Header, description = "wait=seconds, handling=strict|lenient"),
    ),
    responses(
        (status = 200, description = "best first", body = Suggestions),
        (status = 422, description = "a parameter is not acceptable: errors names it"),
        Refusals,
    )
)]
pub(super) async fn suggest(
    options: ReadOptions,
    ladder: web::Data<Ladder>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let search = SuggestSearch::parse(&parameters(&request)?).map_err(invalid_parameters)?;
    let reading = Reading::search("suggest", &[View::Products, View::Categories]);
    let read = ladder
        .search(&options, reading, async |reader: Reader<'_>| {
            let exact = ask(&reader, &suggest::bodies(&search, Tolerance::Exact)).await?;
            if has_any(&exact) {
                return Ok(exact);
            }
            ask(&reader, &suggest::bodies(&search, Tolerance::Fuzzy)).await
        })
        .await
        .map_err(refuse(&options))?;
    let [products, categories, brands] = &read.answer;
    let found = suggest::read(products, categories, brands).map_err(ApiError::internal)?;
    for position in found.products {
        read.shows(View::Products, position);
    }
    for position in found.categories {
        read.shows(View::Categories, position);
    }
    Ok(reply(&read, HttpResponse::Ok()).json(found.suggestions))
}

fn has_any(answers: &Answers) -> bool {
    let [products, categories, brands] = answers;
    !products.hits.hits.is_empty() || !categories.hits.hits.is_empty() || {
        let brands = brands.aggregations.get("brands");
        brands.is_some_and(|brands| brands["buckets"][0].is_object())
    }
}

async fn ask(reader: &Reader<'_>, bodies: &Bodies) -> Result<Answers, ElasticsearchError> {
    let searches = [
        (View::Products, &bodies.products),
        (View::Categories, &bodies.categories),
        (View::Products, &bodies.brands),
    ];
    reader.multi_search(searches).await
}
