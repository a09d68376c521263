//! Reads pages of products, each from the point in time that its cursor names.
//!
//! First pages share the newest point in time that covers them, so that it costs a search nothing.
//! If none covers a page and none may be opened, the page is read from the index itself, and the next
//! page continues after the same sort values in the state that it finds.

use std::sync::Arc;

use bytes::Bytes;
use chassis::clock;
use chassis::elasticsearch::{ElasticsearchError, SearchAnswer};
use schemas::tidemark::Keyring;
use schemas::view::{CategoryDocument, View};

use super::cursor::{Cursor, Point};
use super::facets;
use super::parameters::ProductSearch;
use super::products::{self, Body, Start};
use super::text::Tolerance;
use super::words::Words;
use crate::config::MAX_POINT_AGE;
use crate::freshness::Reader;

mod points;

use points::Points;

/// One per process, shared by all requests.
#[derive(Debug)]
pub struct Paging {
    keyring: Keyring,
    points: Points,
}

/// An answer with the point in time that it was read from.
#[derive(Debug)]
pub struct Page {
    pub answer: SearchAnswer,
    pub tolerance: Tolerance,
    pub point: Option<Arc<Point>>,
    /// The categories that the category facet names.
    pub categories: Vec<CategoryDocument>,
    /// True if the point may be older than the read's snapshot: then only its own label says what
    /// it shows.
    pub is_earlier: bool,
}

impl Page {
    /// The point in time, if it is earlier than the read's snapshot.
    pub fn earlier(&self) -> Option<&Point> {
        self.point.as_deref().filter(|_| self.is_earlier)
    }
}

impl Paging {
    pub fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            points: Points::default(),
        }
    }

    /// The cursor that the client sent; none if another list issued it.
    pub fn open_cursor(&self, search: &ProductSearch, text: &str) -> Option<Cursor> {
        Cursor::open(&self.keyring, text, search)
    }

    pub fn seal_cursor(&self, cursor: &Cursor) -> String {
        cursor.seal(&self.keyring)
    }

    /// The first page, or the page after the cursor.
    pub async fn read(
        &self,
        reader: &Reader<'_>,
        search: &ProductSearch,
        cursor: Option<&Cursor>,
    ) -> Result<Page, ElasticsearchError> {
        if let Some(cursor) = cursor
            && let Some(page) = continue_from(reader, search, cursor).await?
        {
            return Ok(page);
        }
        // A shared point may have expired early: try another, then none. A point that fails in
        // another way is removed too: it may name a shard copy that no longer exists.
        for _ in 0..2 {
            let Some(point) = self.points.share(reader).await else {
                break;
            };
            let page = read_from(reader, search, cursor, Some(Arc::clone(&point))).await;
            let Err(error) = page else {
                let is_earlier = point.offset != reader.offset();
                return page.map(|page| Page { is_earlier, ..page });
            };
            self.points.forget(reader, &point.id);
            if !error.is_not_found() {
                return Err(error);
            }
        }
        read_from(reader, search, cursor, None).await
    }
}

/// The page from the cursor's own point in time; none if that has expired, or does not cover this
/// request.
async fn continue_from(
    reader: &Reader<'_>,
    search: &ProductSearch,
    cursor: &Cursor,
) -> Result<Option<Page>, ElasticsearchError> {
    let point = cursor.point.as_ref();
    let now = clock::now();
    let serves = |point: &&Point| {
        point.is_younger_than(MAX_POINT_AGE, now) && point.serves(reader.epoch(), reader.need())
    };
    let Some(point) = point.filter(serves) else {
        return Ok(None);
    };
    let point = Some(Arc::new(point.clone()));
    match read_from(reader, search, Some(cursor), point).await {
        Ok(page) => Ok(Some(Page {
            is_earlier: true,
            ..page
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A first page is searched with rising tolerance until it finds something; later pages keep its
/// tolerance.
async fn read_from(
    reader: &Reader<'_>,
    search: &ProductSearch,
    cursor: Option<&Cursor>,
    point: Option<Arc<Point>>,
) -> Result<Page, ElasticsearchError> {
    let start = Start {
        after: cursor.map(|cursor| cursor.after.as_slice()),
        point: point.as_ref().map(|point| point.id.as_str()),
    };
    let mut tolerance = cursor.map_or(Tolerance::Exact, |cursor| cursor.tolerance);
    let mut answer = ask(reader, &products::body(search, tolerance, start)).await?;
    if cursor.is_none()
        && let Some(wider) = widen(reader, search, start, hits(&answer)).await?
    {
        tolerance = wider;
        answer = ask(reader, &products::body(search, tolerance, start)).await?;
    }
    Ok(Page {
        categories: name_categories(reader, &answer).await?,
        answer,
        tolerance,
        point,
        is_earlier: false,
    })
}

/// The tolerance that a search needs whose exact form found `found` hits; none if it may stay exact.
/// Forms in between are only counted. The last form is not even counted, because it is used whatever
/// it finds.
async fn widen(
    reader: &Reader<'_>,
    search: &ProductSearch,
    start: Start<'_>,
    mut found: u64,
) -> Result<Option<Tolerance>, ElasticsearchError> {
    let words = Words::of(search.text.as_deref().unwrap_or_default());
    let mut tolerance = Tolerance::Exact;
    while let Some(next) = tolerance.after(found, &words) {
        tolerance = next;
        if next.after(0, &words).is_none() {
            break;
        }
        found = hits(&ask(reader, &products::probe(search, next, start)).await?);
    }
    Ok((tolerance != Tolerance::Exact).then_some(tolerance))
}

fn hits(answer: &SearchAnswer) -> u64 {
    answer.hits.total.as_ref().map_or(0, |total| total.value)
}

/// Reads them by id from their own view: sub-aggregations of hits would cost far more.
async fn name_categories(
    reader: &Reader<'_>,
    answer: &SearchAnswer,
) -> Result<Vec<CategoryDocument>, ElasticsearchError> {
    let ids = facets::counted_categories(&answer.aggregations);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    reader.documents(View::Categories, &ids).await
}

async fn ask(reader: &Reader<'_>, body: &Body<'_>) -> Result<SearchAnswer, ElasticsearchError> {
    let bytes = Bytes::from(serde_json::to_vec(body).expect("a body is plain data"));
    if body.names_a_point() {
        reader.search_point(bytes).await
    } else {
        reader.search(View::Products, bytes).await
    }
}
