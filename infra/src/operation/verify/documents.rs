//! What is compared, as it is read: a lane's documents from Elasticsearch, its events in pages.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use chassis::{
    elasticsearch::{Elasticsearch, Hit, SearchOptions},
    event_log,
    watermark_tail::WatermarkTail,
};
use schemas::{
    event::Envelope,
    lane::{Lane, Seq},
    view::{Document, View},
};
use serde_json::{Value, json};
use testbed::namespace::Surroundings;
use tokio_postgres::Client;
use uuid::Uuid;

use super::lane::LaneCheck;
use crate::access;

const PAGE: usize = 1_000;
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const KEPT_ALIVE: Duration = Duration::from_secs(60);

pub(super) fn client(surroundings: &Surroundings) -> Result<Elasticsearch> {
    access::elasticsearch(&surroundings.endpoints, ANSWERS_WITHIN)
        .context("preparing to ask Elasticsearch")
}

/// The documents of one lane in all views, ready to be compared.
pub(super) struct Scanned {
    pub(super) checks: Vec<LaneCheck>,
    pub(super) documents: u64,
}

impl Scanned {
    pub(super) async fn lane(
        elasticsearch: &Elasticsearch,
        tail: &WatermarkTail,
        lane: Lane,
    ) -> Result<Self> {
        let mut scanned = Self {
            checks: Vec::new(),
            documents: 0,
        };
        for view in View::ALL {
            // The watermark before the documents: what it claims, they must show.
            let active = tail.read(|state| {
                let build = state.view(view.name())?.active_build()?;
                let index = build.announced.as_ref()?.index.clone();
                Some((index, build.visible.get(lane)))
            });
            let (index, visible) =
                active.with_context(|| format!("{} has no active build", view.name()))?;
            let stored = scan(elasticsearch, &index, view, lane)
                .await
                .with_context(|| format!("reading the documents of {index}"))?;
            scanned.documents += stored.len() as u64;
            let check = LaneCheck::new(view, lane, visible, stored);
            scanned.checks.push(check);
        }
        Ok(scanned)
    }
}

async fn scan(
    elasticsearch: &Elasticsearch,
    index: &str,
    view: View,
    lane: Lane,
) -> Result<HashMap<Uuid, Document>> {
    let mut pit = elasticsearch.open_pit(index, KEPT_ALIVE, None).await?;
    let mut stored = HashMap::new();
    let mut after: Option<Vec<Value>> = None;
    loop {
        let body = page_body(&pit, lane, after.as_deref());
        let answer = elasticsearch
            .search(
                None,
                Bytes::from(body.to_string()),
                &SearchOptions::default(),
            )
            .await?;
        pit = answer.pit_id.unwrap_or(pit);
        let hits = answer.hits.hits;
        after = hits.last().map(|hit| hit.sort.clone());
        for hit in &hits {
            let (id, found) = read(view, hit)?;
            stored.insert(id, found);
        }
        if hits.len() < PAGE {
            break;
        }
    }
    elasticsearch.close_pit(&pit).await?;
    Ok(stored)
}

fn page_body(pit: &str, lane: Lane, after: Option<&[Value]>) -> Value {
    let mut body = json!({
        "size": PAGE,
        "pit": {"id": pit, "keep_alive": format!("{}s", KEPT_ALIVE.as_secs())},
        "query": {"term": {"lane": lane}},
        "sort": [{"_shard_doc": "asc"}],
        "track_total_hits": false,
    });
    if let Some(after) = after {
        body["search_after"] = json!(after);
    }
    body
}

fn read(view: View, hit: &Hit) -> Result<(Uuid, Document)> {
    let unreadable = || format!("reading document {}", hit.id);
    let source = hit.source.as_deref().with_context(unreadable)?;
    let document = view.parse(source).with_context(unreadable)?;
    Ok((hit.id.parse().with_context(unreadable)?, document))
}

/// Events of a lane in their order.
pub(super) struct EventPage {
    pub(super) events: Vec<Envelope>,
    /// What is wrong with the event after the last of these.
    pub(super) unreadable: Option<String>,
    pub(super) is_last: bool,
}

pub(super) async fn events(database: &Client, lane: Lane, after: Seq) -> Result<EventPage> {
    let columns = event_log::COLUMNS;
    let select =
        format!("select {columns} from event where lane = $1 and seq > $2 order by seq limit $3");
    let (lane, limit) = (i16::from(lane.number()), i64::try_from(PAGE)?);
    let rows = database
        .query(&select, &[&lane, &i64::try_from(after)?, &limit])
        .await
        .context("reading events")?;
    let mut page = EventPage {
        events: Vec::with_capacity(rows.len()),
        unreadable: None,
        is_last: rows.len() < PAGE,
    };
    for row in &rows {
        match event_log::from_row(row) {
            Ok(envelope) => page.events.push(envelope),
            Err(error) => {
                let seq: i64 = row.get("seq");
                let error = anyhow::Error::from(error);
                page.unreadable =
                    Some(format!("has an event {seq} that cannot be read: {error:#}"));
                break;
            }
        }
    }
    Ok(page)
}
