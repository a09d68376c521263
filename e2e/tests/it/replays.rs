//! A view is built anew while the shop is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use e2e::client::Client;
use e2e::shop::{create_product, rare_word};
use e2e::world::{Plan, World};
use infra::operation::connection::Connection;
use infra::operation::replay::replay;
use schemas::view::View;
use serde_json::json;
use tokio::task::JoinSet;

/// One session: it raises a price again and again, and must always see at least the last one,
/// by id and in search, whichever replica answers.
async fn write_and_read(client: &Client, done: &AtomicBool) -> Result<i64> {
    let word = rare_word();
    let id = create_product(client, &format!("Kettle {word}"), &[]).await?;
    let mut amount = 0;
    while !done.load(Ordering::Relaxed) {
        amount += 1;
        let price = json!({"amount": amount, "currency": "EUR"});
        client
            .put(&format!("/v1/products/{id}/price"), &price)
            .await?
            .expect(200)?;
        let page = client
            .get(&format!("/v1/products/{id}"))
            .await?
            .expect(200)?;
        ensure!(
            page.body["price"]["amount"] == amount,
            "{amount} by id: {page:?}"
        );
        let found = client
            .get(&format!("/v1/products?q={word}"))
            .await?
            .expect(200)?;
        ensure!(
            found.body["items"][0]["price"]["amount"] == amount,
            "{amount} found: {found:?}"
        );
    }
    Ok(amount)
}

#[tokio::test(flavor = "multi_thread")]
async fn during_replays_with_their_switches_no_session_goes_back() -> Result<()> {
    let world = World::open(Plan {
        projectors: 2,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    for number in 0..200 {
        create_product(&staff, &format!("Cup {number}"), &[]).await?;
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut sessions = JoinSet::new();
    for _ in 0..4 {
        let (client, done) = (world.staff()?.preferring("wait=5"), Arc::clone(&done));
        sessions.spawn(async move { write_and_read(&client, &done).await });
    }
    let connection = Connection::open(world.surroundings()).await?;
    let mut active = None;
    for _ in 0..3 {
        let replayed = replay(&connection, View::Products, |_| {}).await?;
        ensure!(
            active.is_none() || replayed.from == active,
            "{replayed:?} after {active:?}"
        );
        active = Some(replayed.to);
    }
    done.store(true, Ordering::Relaxed);
    while let Some(writes) = sessions.join_next().await {
        ensure!(writes?? > 10, "a session stood still");
    }
    let found = staff.get("/v1/products?q=cup&limit=1").await?.expect(200)?;
    ensure!(
        found.body["total"]["value"] == 200,
        "the rebuilt view lost something: {found:?}"
    );
    world.close().await
}
