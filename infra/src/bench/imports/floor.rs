//! The floor of an import: rows and events as one has left them, inserted by command-svc's own
//! statements, in its round trips, and nothing else: nobody reads, decides, answers or hands on.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use command_svc::store::product::{PRODUCT_CATEGORY_INSERT, PRODUCT_INSERT};
use command_svc::store::statement::{EVENT_APPEND, EVENT_EPOCH};
use command_svc::store::stock::STOCK_INSERT;
use futures::future::try_join_all;
use futures::try_join;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::super::instance::Instance;
use super::super::workload::Import;

/// All at once: the tables of the floor are empty before each turn.
const EMPTY: &str = "truncate event, stock, product_category, product;
    update lane set head = 0, recorded_at = '-infinity';";
const COPY_CATEGORIES: &str = "select id, name, name_key, parent_id, created_at from category";
const INSERT_CATEGORY: &str = "insert into category
    (id, name, name_key, parent_id, retired, version, created_at, updated_at)
    values ($1, $2, $3, $4, false, 1, $5, $5)";
const PRODUCTS: &str = "select * from product order by created_at, id";
const MEMBERSHIPS: &str =
    "select product_id, category_id, place from product_category order by product_id, place";
const STOCKS: &str = "select product_id, on_hand, reserved, version, updated_at from stock";
const EVENTS: &str = "select lane, event_id, subject, stream_id, stream_version, type as type_name,
        version, data, meta from event
    where type in ('product-created', 'stock-adjusted') order by lane, seq";

/// What `append` is told of keys and of what was decided on.
const WITHOUT_KEY: [&(dyn ToSql + Sync); 5] = [
    &None::<&str>,
    &None::<&str>,
    &None::<Value>,
    &Vec::<i16>::new(),
    &Vec::<i64>::new(),
];

#[derive(Debug)]
pub(super) struct Floor {
    connections: Vec<Raw>,
    batches: Vec<Batch>,
    products: usize,
}

/// A connection with its statements prepared.
#[derive(Debug)]
struct Raw {
    client: Client,
    products: Statement,
    memberships: Statement,
    stocks: Statement,
    append: Statement,
    epoch: i64,
}

/// What goes into one transaction, as the columns that the statements take.
#[derive(Debug, Default)]
struct Batch {
    products: Products,
    memberships: (Vec<Uuid>, Vec<Uuid>, Vec<i16>),
    stocks: Stocks,
    events: Events,
}

macro_rules! columns {
    ($name:ident { $($column:ident: $type:ty),+ $(,)? }) => {
        #[derive(Debug, Default)]
        struct $name {
            $($column: Vec<$type>),+
        }

        impl $name {
            fn push(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
                $(self.$column.push(row.try_get(stringify!($column))?);)+
                Ok(())
            }

            fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
                vec![$(&self.$column),+]
            }
        }
    };
}

columns!(Products {
    id: Uuid,
    sku: String,
    sku_key: Option<String>,
    name: String,
    description: String,
    brand: String,
    price_amount: i64,
    price_currency: String,
    attributes: Value,
    listed: bool,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
});
columns!(Stocks {
    product_id: Uuid,
    on_hand: i64,
    reserved: i64,
    version: i64,
    updated_at: DateTime<Utc>,
});
columns!(Events {
    lane: i16,
    event_id: Uuid,
    subject: Option<Uuid>,
    stream_id: String,
    stream_version: i64,
    type_name: String,
    version: i16,
    data: Value,
    meta: Value,
});

impl Floor {
    /// Of what the instance has imported, into the empty tables of the other.
    pub async fn of(filled: &Instance, tables: &Instance, workload: &Import) -> Result<Self> {
        let filled = filled.database().await?;
        let most = workload.floor_connections.iter().max();
        let most = *most.context("the workload has no floor")?;
        let connections = try_join_all((0..most).map(|_| Raw::open(tables))).await?;
        copy_categories(&filled, &connections[0].client).await?;
        let batches = batches(&filled, workload.floor_products_per_transaction).await?;
        let products = batches.iter().map(|batch| batch.products.id.len()).sum();
        Ok(Self {
            connections,
            batches,
            products,
        })
    }

    /// Products per second into empty tables.
    pub async fn insert(&self, connections: usize) -> Result<f64> {
        self.connections[0].client.batch_execute(EMPTY).await?;
        let started = Instant::now();
        let shares = (0..connections).map(|first| {
            let batches = self.batches.iter().skip(first).step_by(connections);
            let raw = &self.connections[first];
            async move {
                for batch in batches {
                    raw.insert(batch).await?;
                }
                anyhow::Ok(())
            }
        });
        try_join_all(shares).await?;
        Ok(self.products as f64 / started.elapsed().as_secs_f64())
    }
}

impl Raw {
    async fn open(tables: &Instance) -> Result<Self> {
        let client = tables.database().await?;
        let row = client.query_one(EVENT_EPOCH.text, &[]).await?;
        Ok(Self {
            products: client.prepare(PRODUCT_INSERT.text).await?,
            memberships: client.prepare(PRODUCT_CATEGORY_INSERT.text).await?,
            stocks: client.prepare(STOCK_INSERT.text).await?,
            append: client.prepare(EVENT_APPEND.text).await?,
            epoch: row.get(0),
            client,
        })
    }

    /// One round trip.
    async fn insert(&self, batch: &Batch) -> Result<()> {
        let (client, events) = (&self.client, &batch.events);
        let (products, stocks) = (batch.products.params(), batch.stocks.params());
        let (product_ids, category_ids, places) = &batch.memberships;
        let memberships: [&(dyn ToSql + Sync); 3] = [product_ids, category_ids, places];
        let mut append: Vec<&(dyn ToSql + Sync)> = vec![&self.epoch];
        append.extend(events.params());
        append.extend(WITHOUT_KEY);
        try_join!(
            client.batch_execute("begin isolation level read committed"),
            client.query(&self.products, &products),
            client.execute(&self.memberships, &memberships),
            client.execute(&self.stocks, &stocks),
            client.query(&self.append, &append),
            client.batch_execute("commit"),
        )?;
        Ok(())
    }
}

async fn copy_categories(from: &Client, to: &Client) -> Result<()> {
    let mut waiting = from.query(COPY_CATEGORIES, &[]).await?;
    let mut there = HashSet::new();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut later = Vec::new();
        for row in waiting {
            let (id, parent): (Uuid, Option<Uuid>) = (row.get("id"), row.get("parent_id"));
            if parent.is_some_and(|parent| !there.contains(&parent)) {
                later.push(row);
                continue;
            }
            let (name, key): (String, Option<String>) = (row.get("name"), row.get("name_key"));
            let created_at: DateTime<Utc> = row.get("created_at");
            let params: [&(dyn ToSql + Sync); 5] = [&id, &name, &key, &parent, &created_at];
            to.execute(INSERT_CATEGORY, &params).await?;
            there.insert(id);
        }
        ensure!(later.len() < before, "categories are below each other");
        waiting = later;
    }
    Ok(())
}

/// Everything that belongs to a product is in its batch.
async fn batches(filled: &Client, products_per_batch: usize) -> Result<Vec<Batch>> {
    let mut batches = Vec::<Batch>::new();
    let mut places = HashMap::<Uuid, usize>::new();
    for row in filled.query(PRODUCTS, &[]).await? {
        if places.len().is_multiple_of(products_per_batch) {
            batches.push(Batch::default());
        }
        let batch = batches.last_mut().context("the first product makes one")?;
        batch.products.push(&row)?;
        places.insert(row.get("id"), batches.len() - 1);
    }
    let place_of = |id: Uuid| places.get(&id).copied().context("a row without a product");
    for row in filled.query(MEMBERSHIPS, &[]).await? {
        let product = row.get("product_id");
        let (products, categories, places) = &mut batches[place_of(product)?].memberships;
        products.push(product);
        categories.push(row.get("category_id"));
        places.push(row.get("place"));
    }
    for row in filled.query(STOCKS, &[]).await? {
        batches[place_of(row.get("product_id"))?]
            .stocks
            .push(&row)?;
    }
    for row in filled.query(EVENTS, &[]).await? {
        batches[place_of(row.get("subject"))?].events.push(&row)?;
    }
    Ok(batches)
}
