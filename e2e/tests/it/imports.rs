//! A whole shop at once, and the same again.

use std::time::Duration;

use anyhow::{Result, ensure};
use chassis::auth::{Role, mint};
use chassis::config::DEVELOPMENT_JWT_SECRET;
use e2e::log;
use e2e::world::{Plan, World};
use infra::operation::import::{Destination, send};
use infra::operation::visible::until_visible;
use infra::service::Service;
use infra::shop;
use schemas::rest::import::ImportTotals;
use uuid::Uuid;

const TOKEN_LIFE: Duration = Duration::from_secs(600);

async fn import(world: &World, lines: Vec<u8>) -> Result<ImportTotals> {
    let secret = DEVELOPMENT_JWT_SECRET.into();
    let destination = Destination {
        url: world.urls(Service::CommandSvc)[0].clone(),
        token: mint(&secret, Role::Admin, Uuid::now_v7(), TOKEN_LIFE)?,
    };
    send(lines.into(), &destination, |_| Ok(())).await
}

fn sample_shop() -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for product in shop::products() {
        serde_json::to_writer(&mut lines, &product)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_shop_is_found_agrees_with_its_events_and_is_unchanged_by_the_same_again()
-> Result<()> {
    let world = World::open(Plan::default()).await?;
    let first = import(&world, sample_shop()?).await?;
    let products = shop::products().len() as u64;
    ensure!(first.created == products, "{first:?}");
    until_visible(&world.urls(Service::QuerySvc)[0], &first.tidemark, |_| {}).await?;
    let shopper = world.anonymous()?;
    shopper.adopt(Some(first.tidemark.parse()?));
    let found = shopper.get("/v1/products?limit=1").await?.expect(200)?;
    ensure!(found.body["total"]["value"] == products, "{found:?}");
    world.ensure_agreement().await?;

    let database = world.database().await?;
    let heads = log::heads(&database).await?;
    let again = import(&world, sample_shop()?).await?;
    ensure!(again.unchanged == products, "{again:?}");
    ensure!(log::heads(&database).await? == heads, "a head has moved");
    world.close().await
}
