//! Records that never reach Kafka: the table has them, and the projector fills them in.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::shop::{create_product, page};
use e2e::world::{Plan, READY_WITHIN, World};
use infra::service::Service;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

/// Appends a price change that the relay takes for published.
async fn append_unpublished(database: &Client, product: Uuid, amount: i64) -> Result<()> {
    let stream = format!("product-{product}");
    let data = json!({
        "product_id": product,
        "price": {"amount": amount, "currency": "EUR"},
        "occurred_at": "2024-05-01T12:00:00Z",
    });
    database
        .execute(
            include_str!("append_price_change.sql"),
            &[&product, &stream, &data],
        )
        .await?;
    database
        .execute(
            "update relay set seq = lane.head from lane where lane.id = relay.lane",
            &[],
        )
        .await?;
    Ok(())
}

async fn price_becomes(world: &World, product: Uuid, amount: i64) -> Result<()> {
    let deadline = std::time::Instant::now() + Duration::from_secs(8);
    loop {
        let shown = page(&world.anonymous()?, product).await?;
        if shown["price"]["amount"] == amount {
            return Ok(());
        }
        ensure!(
            std::time::Instant::now() < deadline,
            "{amount} never came: {shown}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_missing_from_kafka_are_filled_from_the_table() -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let product = create_product(&staff, "Kettle", &[]).await?;
    page(&staff, product).await?;

    // The last records of a lane that then idles.
    world.kill_all(Service::CommandSvc).await?;
    append_unpublished(&world.database().await?, product, 4200).await?;
    price_becomes(&world, product, 4200).await?;

    // A hole in the middle: the next record comes, the one before it never will.
    world.kill_all(Service::Projector).await?;
    append_unpublished(&world.database().await?, product, 4300).await?;
    let commands = world.start(Service::CommandSvc).await?;
    commands.ready(READY_WITHIN).await?;
    let staff = world.staff()?.preferring("wait=5");
    // The row does not know of what was appended behind its back, so the stock is moved instead.
    let moved = json!({"delta": 1, "reason": "found"});
    staff
        .post(&format!("/v1/products/{product}/stock-movements"), &moved)
        .await?
        .expect(200)?;
    world.start(Service::Projector).await?;
    let found = staff
        .get_within(&format!("/v1/products/{product}"), Duration::from_secs(12))
        .await?;
    let shown = found.expect(200)?.body;
    ensure!(
        shown["price"]["amount"] == 4300 && shown["available"] == 6,
        "{shown}"
    );
    world.close().await
}
