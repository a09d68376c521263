//! Processes that die at the worst moment: nothing is claimed that is not, and nothing is lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::client::Client;
use e2e::log;
use e2e::shop::{create_product, page, rare_word};
use e2e::world::{Plan, World};
use infra::service::{Running, Service};
use uuid::Uuid;

const TAKE_OVER: Duration = Duration::from_secs(12);

/// A killed predecessor keeps its partitions for the 6 s of its session, so the doomed one may have
/// to wait before it can do anything.
const CRASHES_WITHIN: Duration = Duration::from_secs(30);

async fn ended(service: &Running) -> Result<()> {
    let deadline = Instant::now() + CRASHES_WITHIN;
    while service.is_alive() {
        ensure!(
            Instant::now() < deadline,
            "it did not come to its crash point"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Gives it something to publish. It may die before it is ready, of what its predecessor left, and
/// before or after its answer: what was not acknowledged need not be there.
async fn created_before_the_end(staff: &Client, doomed: &Running, name: &str) -> Option<Uuid> {
    let deadline = Instant::now() + CRASHES_WITHIN;
    while doomed.is_alive() && Instant::now() < deadline {
        if let Ok(id) = create_product(staff, name, &[]).await {
            return Some(id);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// The projector dies at `point` with a write under way; another one takes over.
async fn projector_dies_at(point: &str, shows_before: bool) -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    world.kill_all(Service::Projector).await?;
    let doomed = world.start_crashing_at(Service::Projector, point).await?;
    let staff = world.staff()?;
    let word = rare_word();
    let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
    ended(&doomed).await?;
    world.forget(doomed.pid());

    let search = format!("/v1/products?q={word}");
    let early = staff.get(&search).await?;
    if early.status == 200 {
        ensure!(
            shows_before && early.ids() == [id],
            "claimed and not shown: {early:?}"
        );
    } else {
        ensure!(early.problem() == Some("not-yet-visible"), "{early:?}");
    }

    world.start(Service::Projector).await?;
    let patient = world.anonymous()?.preferring("wait=5");
    patient.adopt(staff.tidemark());
    let found = patient.get_within(&search, TAKE_OVER).await?.expect(200)?;
    ensure!(found.ids() == [id], "lost: {found:?}");
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_killed_between_bulk_and_refresh_has_claimed_nothing() -> Result<()> {
    projector_dies_at("after-bulk", false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_killed_between_refresh_and_watermark_has_lost_nothing() -> Result<()> {
    projector_dies_at("after-refresh", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_killed_between_watermark_and_checkpoint_starts_where_it_was() -> Result<()> {
    projector_dies_at("after-watermark", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_between_publishing_and_remembering_doubles_records_but_not_what_they_do()
-> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?;
    let before = create_product(&staff, "Teapot", &[]).await?;
    world.kill_all(Service::CommandSvc).await?;
    let doomed = world
        .start_crashing_at(Service::CommandSvc, "relay-after-publish")
        .await?;
    let staff = world.staff()?.preferring("wait=5");
    let word = rare_word();
    let sent = created_before_the_end(&staff, &doomed, &format!("Kettle {word}")).await;
    ended(&doomed).await?;
    world.forget(doomed.pid());
    world.start(Service::CommandSvc).await?;
    world.ready().await?;

    let after = world.staff()?.preferring("wait=5");
    let last = create_product(&after, "Tray", &[]).await?;
    page(&after, last).await?;
    let records = log::records(&world).await?;
    ensure!(
        log::counts(&records).values().any(|count| *count > 1),
        "nothing came twice"
    );
    if let Some(id) = sent {
        after.adopt(staff.tidemark());
        let found = after
            .get_within(&format!("/v1/products?q={word}"), TAKE_OVER)
            .await?;
        ensure!(
            found.clone().expect(200)?.ids() == [id],
            "acknowledged and lost: {found:?}"
        );
    }
    let available = page(&after, before).await?["available"].as_i64();
    ensure!(available == Some(5), "counted twice: {available:?}");
    log::ensure_dense(&world.database().await?).await?;
    world.close().await
}
