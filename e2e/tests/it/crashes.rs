//! Processes that die at the worst moment: nothing is claimed that is not, and nothing is lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::client::Client;
use e2e::log;
use e2e::shop::{create_product, page, rare_word};
use e2e::world::{Plan, READY_WITHIN, World};
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

/// Creates products, each with the search that finds it alone, until something fails.
async fn write_on(staff: &Client, written: &mut Vec<(Uuid, String)>) -> Result<()> {
    loop {
        let word = rare_word();
        let id = create_product(staff, &format!("Kettle {word}"), &[]).await?;
        written.push((id, format!("/v1/products?q={word}")));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The projector dies at `point` with writes under way; another one takes over.
async fn projector_dies_at(point: &str, shows_before: bool) -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    world.kill_all(Service::Projector).await?;
    let doomed = world.start_crashing_at(Service::Projector, point).await?;
    let staff = world.staff()?;
    let mut written = Vec::new();
    tokio::select! {
        ended = ended(&doomed) => ended?,
        failed = write_on(&staff, &mut written) => failed?,
    }
    world.forget(doomed.pid());

    for (id, search) in &written {
        let early = staff.get(search).await?;
        let is_shown = shows_before && early.status == 200 && early.ids() == [*id];
        let is_awaited = early.problem() == Some("not-yet-visible");
        ensure!(is_shown || is_awaited, "claimed and not shown: {early:?}");
    }

    world.start(Service::Projector).await?;
    let patient = world.anonymous()?.preferring("wait=5");
    patient.adopt(staff.tidemark());
    let (_, newest) = written.last().context("nothing was written")?;
    patient.get_within(newest, TAKE_OVER).await?.expect(200)?;
    for (id, search) in &written {
        let found = patient.get(search).await?.expect(200)?;
        ensure!(found.ids() == [*id], "lost: {found:?}");
    }
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
    // Nothing is left to publish, so that the doomed one lives until it is given something.
    log::until_published(&world.database().await?).await?;
    world.kill_all(Service::CommandSvc).await?;
    let doomed = world
        .start_crashing_at(Service::CommandSvc, "relay-after-publish")
        .await?;
    doomed.ready(READY_WITHIN).await?;
    let staff = world.staff()?.preferring("wait=5");
    // The answer may or may not come before the crash; the row decides.
    let word = rare_word();
    let sent = create_product(&staff, &format!("Kettle {word}"), &[]).await;
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
    if let Ok(id) = sent {
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
