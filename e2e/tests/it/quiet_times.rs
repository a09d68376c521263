//! While nobody writes, projectors repeat their watermarks. What a replica reads of that depends on
//! when it was started, and must not show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::client::Client;
use e2e::shop::{create_product, page};
use e2e::world::{Plan, READY_WITHIN, World};
use infra::service::Service;
use tokio::time::Instant;

/// More than all owners of all views say in a second.
const HEARTBEATS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_restarted_in_a_quiet_time_hands_out_tidemarks_that_the_others_serve_at_once()
-> Result<()> {
    let plan = Plan {
        query_svcs: 3,
        ..Plan::default()
    };
    let mut world = World::open(plan).await?;
    let staff = world.staff()?.preferring("wait=5");
    let id = create_product(&staff, "Kettle", &[]).await?;
    page(&staff, id).await?;
    until_quiet(&staff).await?;
    let old = world.replicas(Service::QuerySvc)[0].clone();
    old.kill().await?;
    world.forget(old.pid());
    let others = world.urls(Service::QuerySvc);
    let restarted = world.start(Service::QuerySvc).await?;
    restarted.ready(READY_WITHIN).await?;
    let page = format!("/v1/products/{id}");
    for path in ["/v1/products", "/v1/categories", &page] {
        let shopper = world.anonymous()?.preferring("wait=0");
        let first = format!("{}{path}", restarted.url);
        shopper.get_from(&first).await?.expect(200)?;
        for other in &others {
            let next = shopper.get_from(&format!("{other}{path}")).await?;
            let served = next.expect(200)?.served().map(str::to_owned);
            ensure!(served.as_deref() == Some("covered"), "{path}: {served:?}");
        }
    }
    world.close().await
}

/// Until all is visible that the session has written, and heartbeats have followed.
async fn until_quiet(session: &Client) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    let mut covered_at = None;
    loop {
        let state = session.get("/v1/tidemark").await?.expect(200)?;
        let offset = state.body["replica_offset"].as_u64();
        let offset = offset.context("a replica says how far it has read")?;
        if state.body["covered"] == true {
            let covered_at = *covered_at.get_or_insert(offset);
            if offset > covered_at + HEARTBEATS {
                return Ok(());
            }
        }
        ensure!(Instant::now() < deadline, "not quiet in time: {state:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
