//! Two versions of the projector side by side: an upgrade, and the way back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::client::Client;
use e2e::shop::{create_product, page, rare_word};
use e2e::world::{Plan, World};
use infra::operation::connection::Connection;
use infra::service::Service;
use schemas::view::View;

/// Both views are announced, filled and switched to.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(30);
/// A version counts as alive for a minute after its last word.
const TAKES_BACK_WITHIN: Duration = Duration::from_secs(60 + 30);

/// The projection versions that readers stand on.
fn versions(connection: &Connection) -> Vec<Option<u32>> {
    connection.tail.read(|state| {
        let version = |view: View| {
            let build = state.view(view.name())?.active_build()?;
            Some(build.announced.as_ref()?.version)
        };
        View::ALL.into_iter().map(version).collect()
    })
}

/// Writes and finds, until readers stand on these versions.
async fn shop_until(
    connection: &Connection,
    staff: &Client,
    ahead: u32,
    limit: Duration,
) -> Result<usize> {
    let expected = View::ALL.map(|view| Some(view.version() + ahead));
    let deadline = Instant::now() + limit;
    let mut found = 0;
    while versions(connection) != expected {
        ensure!(Instant::now() < deadline, "{:?}", versions(connection));
        let word = rare_word();
        let id = create_product(staff, &format!("Kettle {word}"), &[]).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let path = format!("/v1/products?q={word}");
        let answer = staff.get_within(&path, left).await?.expect(200)?;
        ensure!(answer.ids() == [id], "{word} is not found: {answer:?}");
        page(staff, id).await?;
        found += 1;
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_takes_over_and_the_older_one_takes_back_when_it_is_gone() -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let connection = Connection::open(world.surroundings()).await?;
    for number in 0..50 {
        create_product(&staff, &format!("Cup {number}"), &[]).await?;
    }
    let ahead = [("TIDEMARK_VERSIONS_AHEAD", "1")];
    let newer = world.start_with(Service::Projector, &ahead).await?;
    let found = shop_until(&connection, &staff, 1, TAKES_OVER_WITHIN).await?;
    ensure!(found > 0, "nothing was written during the upgrade");
    let cups = staff.get("/v1/products?q=cup&limit=1").await?.expect(200)?;
    ensure!(cups.body["total"]["value"] == 50, "{cups:?}");
    world
        .ensure_agreement()
        .await
        .context("after the upgrade")?;

    newer.kill().await?;
    world.forget(newer.pid());
    shop_until(&connection, &staff, 0, TAKES_BACK_WITHIN).await?;
    let cups = staff.get("/v1/products?q=cup&limit=1").await?.expect(200)?;
    ensure!(cups.body["total"]["value"] == 50, "{cups:?}");
    world.ensure_agreement().await.context("on the way back")?;
    world.close().await
}
