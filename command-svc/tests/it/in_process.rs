//! Commands in this process, on the service's database: deadlines, connections and groups of one's
//! own choice.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chassis::clock::Deadline;
use chassis::postgres::{PoolOptions, Session, pool};
use chassis::tidemark::EpochHandle;
use command_svc::domain::product::{Product, ProductCommand};
use command_svc::execute::{Commands, Context, ExecuteError, Expected, Outcome};
use command_svc::store::Database;
use command_svc::store::idempotency::IdempotencyKey;
use futures::future::{join, join_all};
use schemas::event::Meta;
use schemas::id::{Epoch, ProductId};
use schemas::money::Money;
use secrecy::SecretString;
use serde_json::json;
use tokio::runtime::Handle;

use crate::service::Service;

const LONG: Duration = Duration::from_secs(30);

/// Over this URL, with so many connections.
pub async fn commands(
    service: &Service,
    database_url: &str,
    connections: usize,
) -> Result<Commands> {
    let url = SecretString::from(database_url);
    let options = PoolOptions {
        size: connections,
        application_name: "command-svc",
        session: Session::Writer,
    };
    let epoch = "select epoch from epoch";
    let epoch: i64 = service.db.query_one(epoch, &[]).await?.get(0);
    let handle = EpochHandle::default();
    handle.set(Epoch(u32::try_from(epoch)?))?;
    let pool = pool(&url, &options, &Handle::current())?;
    Ok(Commands::new(Database::new(pool, handle)))
}

pub async fn new_products(service: &Service, count: usize) -> Result<Vec<ProductId>> {
    let mut ids = Vec::new();
    for number in 0..count {
        let id = service
            .new_product(&format!("L-{number}"), json!({}))
            .await?;
        ids.push(ProductId(id.parse()?));
    }
    Ok(ids)
}

pub async fn reprice(
    commands: &Commands,
    id: ProductId,
    left: Duration,
    key: Option<IdempotencyKey>,
) -> Result<Outcome, ExecuteError> {
    let price = Money::new(42, "EUR").expect("a price");
    let context = Context {
        meta: Meta::default(),
        path: String::new(),
        expected: Expected::Nothing,
        key,
        deadline: Deadline::within(left),
    };
    let change = ProductCommand::ChangePrice(price);
    commands.execute::<Product>(id, change, context).await
}

/// Executes these as one group: the one connection of the pool is lent until the first of them asks
/// for it, when all have joined. From then on `meanwhile` runs beside the group.
pub async fn as_one_group(
    commands: &Commands,
    changes: impl IntoIterator<Item = impl Future<Output = Result<Outcome, ExecuteError>>>,
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<Vec<Result<Outcome, ExecuteError>>> {
    let pool = commands.database().pool();
    let lent = pool.get().await?;
    let gathered = async {
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        while pool.status().waiting == 0 {
            looks.tick().await;
        }
        drop(lent);
        meanwhile.await
    };
    let gathered = tokio::time::timeout(LONG, gathered);
    let (told, gathered) = join(join_all(changes), gathered).await;
    gathered.context("nobody waits for a connection")??;
    Ok(told)
}

/// How many price changes were committed, and in how many transactions.
pub async fn committed(service: &Service) -> Result<(i64, i64)> {
    let committed = "select count(*), count(distinct xmin::text) from event
        where type = 'price-changed'";
    let committed = service.db.query_one(committed, &[]).await?;
    Ok((committed.get(0), committed.get(1)))
}
