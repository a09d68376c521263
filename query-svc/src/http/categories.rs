//! The category tree with counts of listed products.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chassis::elasticsearch::{ElasticsearchError, SearchAnswer};
use chassis::problem::ApiError;
use schemas::id::CategoryId;
use schemas::lane::Position;
use schemas::rest::query::{CategoryNode, CategoryTree};
use schemas::view::{CategoryDocument, View};

use super::Refusals;
use super::extract::parameters;
use super::problem::invalid_parameters;
use super::reply::{refuse, reply, reply_error};
use crate::config::TREE_POINT_KEEP_ALIVE;
use crate::freshness::{Ladder, Read, ReadOptions, Reader, Reading};
use crate::search::products::Start;
use crate::search::{Refused, categories};

const VIEWS: &[View] = &[View::Categories, View::Products];

/// Pages of categories in order, and the counts of products.
struct Answers {
    nodes: Vec<SearchAnswer>,
    counts: SearchAnswer,
}

/// The whole tree. A count includes the products of all categories below.
#[utoipa::path(
    get,
    path = "/v1/categories",
    tag = "categories",
    params(
        ("Tidemark" = Option<String>, Header, description = "up to 8 tidemarks, comma-separated"),
        ("Prefer" = Option<String>, Header, description = "wait=seconds, handling=strict|lenient"),
    ),
    responses(
        (status = 200, description = "the roots with all below them, by name", body = CategoryTree),
        Refusals,
    )
)]
pub(super) async fn tree(
    options: ReadOptions,
    ladder: web::Data<Ladder>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let reading = Reading::search("categories", VIEWS);
    let read = ladder
        .search(&options, reading, async |reader: Reader<'_>| {
            ask(&reader, None).await
        })
        .await
        .map_err(refuse(&options))?;
    let items = forest(&read)?;
    Ok(reply(&read, HttpResponse::Ok()).json(CategoryTree { items }))
}

/// One category with all below it.
#[utoipa::path(
    get,
    path = "/v1/categories/{id}",
    tag = "categories",
    params(
        ("id" = CategoryId, Path, description = "the category's id"),
        ("Tidemark" = Option<String>, Header, description = "up to 8 tidemarks, comma-separated"),
        ("Prefer" = Option<String>, Header, description = "wait=seconds, handling=strict|lenient"),
    ),
    responses(
        (status = 200, description = "the category", body = CategoryNode),
        (status = 404, description = "there is no such category"),
        Refusals,
    )
)]
pub(super) async fn one(
    id: web::Path<CategoryId>,
    options: ReadOptions,
    ladder: web::Data<Ladder>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let id = id.into_inner();
    let reading = Reading::search("category", VIEWS);
    let read = ladder
        .search(&options, reading, async |reader: Reader<'_>| {
            ask(&reader, Some(id)).await
        })
        .await
        .map_err(refuse(&options))?;
    let mut nodes = forest(&read)?.into_iter();
    match nodes.find(|node| node.id == id) {
        Some(node) => Ok(reply(&read, HttpResponse::Ok()).json(node)),
        None => Err(reply_error(
            &read,
            ApiError::not_found("no category has this id"),
        )),
    }
}

fn refuse_parameters(request: &HttpRequest) -> Result<(), ApiError> {
    let refused: Vec<Refused> = parameters(request)?
        .iter()
        .map(|(name, _)| Refused::new(name, "takes no parameters"))
        .collect();
    if refused.is_empty() {
        Ok(())
    } else {
        Err(invalid_parameters(refused))
    }
}

async fn ask(
    reader: &Reader<'_>,
    below: Option<CategoryId>,
) -> Result<Answers, ElasticsearchError> {
    let first = categories::nodes_body(below, Start::default());
    let counts = categories::counts_body(below);
    let searches = [(View::Categories, &first), (View::Products, &counts)];
    let [nodes, counts] = reader.multi_search(searches).await?;
    let nodes = if last_of_full_page(&[&nodes]).is_some() {
        read_from_point(reader, below).await?
    } else {
        vec![nodes]
    };
    Ok(Answers { nodes, counts })
}

/// Reads several pages from one point in time: a category renamed between two pages would otherwise
/// be in both or in neither.
async fn read_from_point(
    reader: &Reader<'_>,
    below: Option<CategoryId>,
) -> Result<Vec<SearchAnswer>, ElasticsearchError> {
    let point = reader
        .open_point(View::Categories, TREE_POINT_KEEP_ALIVE)
        .await?;
    let pages = read_pages(reader, below, &point).await;
    reader.close_point(&point).await;
    pages
}

async fn read_pages(
    reader: &Reader<'_>,
    below: Option<CategoryId>,
    point: &str,
) -> Result<Vec<SearchAnswer>, ElasticsearchError> {
    let mut pages: Vec<SearchAnswer> = Vec::new();
    let mut after = None;
    loop {
        let start = Start {
            after: after.as_deref(),
            point: Some(point),
        };
        let body = categories::nodes_body(below, start);
        let body = Bytes::from(serde_json::to_vec(&body).expect("a body is plain data"));
        pages.push(reader.search_point(body).await?);
        after = last_of_full_page(&pages);
        if after.is_none() {
            return Ok(pages);
        }
    }
}

/// The sort values that the next page starts after; none if there is no next page, or too many.
fn last_of_full_page(pages: &[impl Borrow<SearchAnswer>]) -> Option<Vec<serde_json::Value>> {
    let hits = &pages.last()?.borrow().hits.hits;
    let may_have_more = hits.len() == categories::PAGE_SIZE && pages.len() < categories::MAX_PAGES;
    hits.last()
        .filter(|_| may_have_more)
        .map(|hit| hit.sort.clone())
}

fn forest(read: &Read<Answers>) -> Result<Vec<CategoryNode>, ApiError> {
    let Answers { nodes, counts } = &read.answer;
    let mut documents: Vec<CategoryDocument> = Vec::new();
    for page in nodes {
        documents.extend(categories::read_nodes(page).map_err(ApiError::internal)?);
    }
    for document in &documents {
        let CategoryDocument { lane, seq, .. } = *document;
        read.shows(View::Categories, Position { lane, seq });
    }
    let counts: BTreeMap<CategoryId, u64> = categories::read_counts(counts);
    Ok(categories::forest(documents, &counts))
}
