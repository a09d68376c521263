//! Everybody sees their own writes, on any replica.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::Client;
use e2e::shop::{create_product, rare_word};
use e2e::world::{Plan, World};
use infra::service::Service;

/// Within this time after a kill, with Retry-After followed, every read is answered.
const TAKE_OVER: Duration = Duration::from_secs(12);

async fn write_then_search(client: &Client) -> Result<String> {
    let word = rare_word();
    let id = create_product(client, &format!("Kettle {word}"), &[]).await?;
    let found = client
        .get_within(&format!("/v1/products?q={word}"), TAKE_OVER)
        .await?;
    let found = found.expect(200)?;
    ensure!(
        found.ids() == [id],
        "{word} was written and is not found: {found:?}"
    );
    Ok(found.served().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_was_saved_is_found_on_another_replica_500_times_in_a_row() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    for round in 0..500 {
        let word = rare_word();
        let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
        let found = staff
            .get(&format!("/v1/products?q={word}"))
            .await?
            .expect(200)?;
        ensure!(found.ids() == [id], "round {round}: {found:?}");
    }
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_was_saved_is_found_although_the_projector_is_killed_again_and_again()
-> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    for _ in 0..4 {
        for _ in 0..25 {
            write_then_search(&staff).await?;
        }
        world.kill_all(Service::Projector).await?;
        let word = rare_word();
        let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
        world.start(Service::Projector).await?;
        let found = staff
            .get_within(&format!("/v1/products?q={word}"), TAKE_OVER)
            .await?;
        ensure!(found.clone().expect(200)?.ids() == [id], "{found:?}");
    }
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_replica_goes_on_at_another_without_going_back() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let (staff, shopper) = (world.staff()?, world.anonymous()?.preferring("wait=5"));
    let word = rare_word();
    let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
    for amount in 1..=100 {
        let price = serde_json::json!({"amount": amount, "currency": "EUR"});
        staff
            .put(&format!("/v1/products/{id}/price"), &price)
            .await?
            .expect(200)?;
        shopper.adopt(staff.tidemark());
        for _ in 0..world.replicas(Service::QuerySvc).len() {
            let page = shopper
                .get(&format!("/v1/products/{id}"))
                .await?
                .expect(200)?;
            let shown = page.body["price"]["amount"].as_i64();
            ensure!(shown == Some(amount), "{amount} was written, {page:?}");
        }
    }
    world.close().await
}
