//! Reads pages of products, each from a point in time that its cursor names.
//!
//! First pages share one point in time for as long as nothing becomes visible, so that it costs a
//! search nothing. Points are bounded: beyond the bound a page is read from the index itself, and
//! its cursor goes on after the same values in whatever state the next page finds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chassis::clock;
use chassis::elasticsearch::{ElasticsearchError, SearchAnswer, SearchOptions};
use moka::future::Cache;
use schemas::tidemark::Keyring;
use schemas::view::{CategoryDocument, View};
use tokio::time::Instant;

use super::cursor::{Cursor, Point};
use super::facets;
use super::parameters::ProductSearch;
use super::products::{self, Body, Start};
use super::text::Tolerance;
use super::words::Words;
use crate::freshness::Reader;

/// How long a point in time outlives its last use; as in `products::KEEP_ALIVE`.
const KEEP: Duration = Duration::from_secs(60);
/// How long first pages may share a point in time.
const SHARE: Duration = Duration::from_secs(30);
/// The most points in time that this process opens within `KEEP`.
const MAX_OPENED: u32 = 500;
/// The most that are shared at once: one per index and set of copies.
const MAX_SHARED: u64 = 256;

/// One for the process: what all pages share.
#[derive(Debug)]
pub struct Paging {
    keyring: Keyring,
    shared: Cache<SharedBy, Arc<Point>>,
    opened: Mutex<Opened>,
}

/// Requests that get the same answers: of one index, on the same copies, while nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SharedBy {
    index: String,
    preference: Option<String>,
    offset: u64,
}

#[derive(Debug)]
struct Opened {
    since: Instant,
    count: u32,
}

/// An answer with the state that it was read from.
#[derive(Debug)]
pub struct Page {
    pub answer: SearchAnswer,
    pub tolerance: Tolerance,
    pub point: Option<Arc<Point>>,
    /// Those that the category facet names.
    pub categories: Vec<CategoryDocument>,
    /// True where the state is that of an earlier page, which knows nothing newer.
    pub is_continued: bool,
}

/// Too many points in time are open, or this one could not be opened.
#[derive(Debug, Clone, Copy)]
struct NoPoint;

impl Paging {
    pub fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            shared: Cache::builder()
                .max_capacity(MAX_SHARED)
                .time_to_live(SHARE)
                .build(),
            opened: Mutex::new(Opened {
                since: clock::instant(),
                count: 0,
            }),
        }
    }

    /// The cursor that the client sent; none where it is not one of this list.
    pub fn open_cursor(&self, search: &ProductSearch, text: &str) -> Option<Cursor> {
        Cursor::open(&self.keyring, text, search)
    }

    pub fn seal_cursor(&self, cursor: &Cursor) -> String {
        cursor.seal(&self.keyring)
    }

    /// The first page, or the one that the cursor leads to.
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
        // A shared one may have gone before its time: once more, then without.
        for _ in 0..2 {
            let Some(point) = self.share_point(reader).await else {
                break;
            };
            match read_from(reader, search, cursor, Some(point)).await {
                Err(error) if error.is_not_found() => {
                    self.shared.invalidate(&SharedBy::of(reader)).await;
                }
                page => return page,
            }
        }
        read_from(reader, search, cursor, None).await
    }

    async fn share_point(&self, reader: &Reader<'_>) -> Option<Arc<Point>> {
        let open = async {
            if !self.may_open() {
                return Err(NoPoint);
            }
            let (index, client) = (reader.index(View::Products), &reader.elasticsearch);
            let preference = reader.options.preference.as_deref();
            let opened = client.open_pit(index, KEEP, preference).await;
            let id = opened.map_err(|_| NoPoint)?;
            Ok(Arc::new(Point {
                id,
                build: reader.build(View::Products),
                offset: reader.offset(),
                visible: reader.visible(View::Products).clone(),
            }))
        };
        let shared = self.shared.try_get_with(SharedBy::of(reader), open);
        shared.await.ok()
    }

    fn may_open(&self) -> bool {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.since.elapsed() >= KEEP {
            *opened = Opened {
                since: clock::instant(),
                count: 0,
            };
        }
        opened.count += 1;
        opened.count <= MAX_OPENED
    }
}

impl SharedBy {
    fn of(reader: &Reader<'_>) -> Self {
        Self {
            index: reader.index(View::Products).to_owned(),
            preference: reader.options.preference.clone(),
            offset: reader.offset(),
        }
    }
}

/// The cursor's page from its own point in time; none where that is gone, or too old for what
/// this request has to see.
async fn continue_from(
    reader: &Reader<'_>,
    search: &ProductSearch,
    cursor: &Cursor,
) -> Result<Option<Page>, ElasticsearchError> {
    let point = cursor.point.as_ref();
    let Some(point) = point.filter(|point| reader.is_met_by(point.offset, &point.visible)) else {
        return Ok(None);
    };
    let point = Some(Arc::new(point.clone()));
    match read_from(reader, search, Some(cursor), point).await {
        Ok(page) => Ok(Some(Page {
            is_continued: true,
            ..page
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A first page grows more tolerant until something is found; later pages stay as it was.
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
    let words = Words::of(search.text.as_deref().unwrap_or_default());
    let mut tolerance = cursor.map_or(Tolerance::Exact, |cursor| cursor.tolerance);
    loop {
        let answer = ask(reader, &products::body(search, tolerance, start)).await?;
        let hits = answer.hits.total.as_ref().map_or(0, |total| total.value);
        match tolerance.after(hits, &words).filter(|_| cursor.is_none()) {
            Some(next) => tolerance = next,
            None => {
                return Ok(Page {
                    categories: name_categories(reader, &answer).await?,
                    answer,
                    tolerance,
                    point,
                    is_continued: false,
                });
            }
        }
    }
}

/// Asked of their own view, as last written: a hit of each would cost far more.
async fn name_categories(
    reader: &Reader<'_>,
    answer: &SearchAnswer,
) -> Result<Vec<CategoryDocument>, ElasticsearchError> {
    let ids = facets::counted_categories(&answer.aggregations);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let index = reader.index(View::Categories);
    let found = reader.elasticsearch.mget(index, &ids).await?;
    let documents = found.into_iter().flatten();
    documents
        .map(|found| serde_json::from_str(found.source.get()))
        .collect::<Result<_, _>>()
        .map_err(|source| ElasticsearchError::Unreadable {
            operation: "mget",
            source,
        })
}

async fn ask(reader: &Reader<'_>, body: &Body<'_>) -> Result<SearchAnswer, ElasticsearchError> {
    let bytes = Bytes::from(serde_json::to_vec(body).expect("a body is plain data"));
    let client = &reader.elasticsearch;
    if body.names_a_point() {
        let options = SearchOptions::default();
        client.search(None, bytes, &options).await
    } else {
        let index = reader.index(View::Products);
        client.search(Some(index), bytes, &reader.options).await
    }
}
