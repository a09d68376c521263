//! The floor of a price change: command-svc's own statements, in its round trips, and nothing else.

use anyhow::{Context, Result};
use chassis::clock;
use command_svc::store::product::{PRODUCT_CATEGORY_SELECT, PRODUCT_LOCK, PRODUCT_UPDATE_PRICES};
use command_svc::store::statement::{EVENT_APPEND, EVENT_EPOCH};
use futures::future::try_join_all;
use futures::try_join;
use schemas::event::{Event, Meta, PriceChanged};
use schemas::id::ProductId;
use schemas::lane::Lane;
use schemas::money::Money;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::super::instance::{self, Instance};
use super::super::load::{Load, Until, closed_loop};
use super::super::workload::Commands;
use super::rest::change;

#[derive(Debug)]
pub(super) struct Floor {
    connections: Vec<Raw>,
    ids: Vec<ProductId>,
    seed: u64,
}

/// A connection with its statements prepared.
#[derive(Debug)]
struct Raw {
    client: Client,
    lock: Statement,
    categories: Statement,
    update: Statement,
    append: Statement,
    epoch: i64,
    principal: Uuid,
}

impl Floor {
    /// Opens as many connections as any turn needs.
    pub async fn open(
        instance: &Instance,
        ids: Vec<ProductId>,
        workload: &Commands,
    ) -> Result<Self> {
        let most = workload.floor_connections.iter().max();
        let most = *most.context("the workload has no floor")?;
        let connections = try_join_all((0..most).map(|_| Raw::open(instance))).await?;
        Ok(Self {
            connections,
            ids,
            seed: workload.seed,
        })
    }

    pub async fn change_prices(&self, connections: usize, until: Until) -> Result<Load> {
        let ask = async |connection: usize, number| {
            let (product, amount) = change(self.seed, number, self.ids.len());
            let raw = &self.connections[connection];
            raw.change_price(self.ids[product], amount).await
        };
        closed_loop(connections, until, ask).await
    }
}

impl Raw {
    async fn open(instance: &Instance) -> Result<Self> {
        let url = &instance
            .surroundings
            .endpoints
            .database_url(&instance.surroundings.database);
        let client = instance::connect(url).await?;
        let row = client.query_one(EVENT_EPOCH.text, &[]).await?;
        Ok(Self {
            lock: client.prepare(PRODUCT_LOCK.text).await?,
            categories: client.prepare(PRODUCT_CATEGORY_SELECT.text).await?,
            update: client.prepare(PRODUCT_UPDATE_PRICES.text).await?,
            append: client.prepare(EVENT_APPEND.text).await?,
            epoch: row.get(0),
            principal: clock::new_id(),
            client,
        })
    }

    async fn change_price(&self, id: ProductId, amount: i64) -> Result<()> {
        let changed = self.transact(id, amount).await;
        if changed.is_err() {
            self.client.batch_execute("rollback").await?;
        }
        changed
    }

    /// Two round trips, as in command-svc.
    async fn transact(&self, id: ProductId, amount: i64) -> Result<()> {
        let (client, ids) = (&self.client, vec![id.0]);
        let ids: [&(dyn ToSql + Sync); 1] = [&ids];
        let ((), locked, _categories) = try_join!(
            client.batch_execute("begin isolation level read committed"),
            client.query(&self.lock, &ids),
            client.query(&self.categories, &ids),
        )?;
        let product = locked.first().context("the product is gone")?;
        let version: i64 = product.get("version");
        let currency: &str = product.get("price_currency");
        let version = version + 1;

        let at = clock::now();
        let price = Money::new(amount, currency)?;
        let event = Event::from(PriceChanged {
            product_id: id,
            price,
            occurred_at: at,
        });
        let meta = Meta {
            principal: Some(self.principal),
            request_id: Some(clock::new_id().to_string()),
            traceparent: None,
        };
        let row: [&(dyn ToSql + Sync); 5] = [
            &vec![id.0],
            &vec![amount],
            &vec![currency],
            &vec![version],
            &vec![at],
        ];
        let append: [&(dyn ToSql + Sync); 15] = [
            &self.epoch,
            &vec![i16::from(Lane::of(id).number())],
            &vec![clock::new_id()],
            &vec![Some(id.0)],
            &vec![event.stream_id().to_string()],
            &vec![version],
            &vec![event.type_name()],
            &vec![i16::try_from(event.version())?],
            &vec![event.to_data()],
            &vec![Json(&meta)],
            &None::<&str>,
            &None::<&str>,
            &None::<serde_json::Value>,
            &Vec::<i16>::new(),
            &Vec::<i64>::new(),
        ];
        try_join!(
            client.execute(&self.update, &row),
            client.query(&self.append, &append),
            client.batch_execute("commit"),
        )?;
        Ok(())
    }
}
