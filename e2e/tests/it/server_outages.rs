//! Servers that go away and come back: what still works goes on, what cannot says so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::client::Client;
use e2e::shop::{create_product, page, rare_word};
use e2e::world::{Plan, World};
use infra::service::Service;
use schemas::lane::LANES;
use schemas::operations::{LagReport, LaneHealth};
use serde_json::{Value, json};
use testbed::stack::Server;
use uuid::Uuid;

const OUTAGE: Duration = Duration::from_secs(10);
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Within this time, `/readyz` tells that a server is away.
const NAMED_WITHIN: Duration = Duration::from_secs(15);

/// Writes all through an outage; every write must be acknowledged.
async fn write_through(staff: &Client, outage: Duration) -> Result<Vec<(Uuid, String)>> {
    let end = Instant::now() + outage;
    let mut written = Vec::new();
    while Instant::now() < end {
        let word = rare_word();
        written.push((
            create_product(staff, &format!("Kettle {word}"), &[]).await?,
            word,
        ));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(written)
}

/// Waits until every replica of a service says that it is ready, or not, and names the server that
/// is away.
async fn says(world: &World, service: Service, is_ready: bool, away: &str) -> Result<()> {
    let deadline = Instant::now() + NAMED_WITHIN;
    let http = reqwest::Client::builder().no_proxy().build()?;
    for url in world.urls(service) {
        loop {
            let answer = http.get(format!("{url}/readyz")).send().await?;
            let status = answer.status();
            let body: Value = answer.json().await?;
            let parts = [&body["away"], &body["missing"]];
            let is_named = parts.iter().any(|part| part[away].is_string());
            if is_named && status.is_success() == is_ready {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "{} does not say that {away} is away: {status} {body}",
                service.name()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// Waits until every replica of every service is ready again and names nothing as away.
async fn misses_nothing(world: &World) -> Result<()> {
    let deadline = Instant::now() + NAMED_WITHIN;
    let http = reqwest::Client::builder().no_proxy().build()?;
    for service in [Service::CommandSvc, Service::Projector, Service::QuerySvc] {
        for url in world.urls(service) {
            loop {
                let answer = http.get(format!("{url}/readyz")).send().await?;
                let status = answer.status();
                let body: Value = answer.json().await?;
                if status.is_success() && body["away"] == json!({}) {
                    break;
                }
                ensure!(Instant::now() < deadline, "{url}: {status} {body}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(())
}

/// Waits until the projector says of no lane that it is idle: nobody knows the heads.
async fn lag_is_unknown(world: &World) -> Result<()> {
    let deadline = Instant::now() + NAMED_WITHIN;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = world.urls(Service::Projector).remove(0);
    let gauge = r#"tidemark_lanes{view="products",build="active",state="unknown"} 64"#;
    loop {
        let answer = http.get(format!("{url}/v1/lag")).send().await?;
        let report: LagReport = answer.error_for_status()?.json().await?;
        let builds = report.views.iter().flat_map(|view| &view.builds);
        let lanes = builds.flat_map(|build| &build.lanes);
        let states: Vec<LaneHealth> = lanes.map(|lane| lane.state).collect();
        let is_told = states.iter().all(|state| *state == LaneHealth::Unknown);
        let answer = http.get(format!("{url}/metrics")).send().await?;
        let metrics = answer.error_for_status()?.text().await?;
        if states.len() == 2 * usize::from(LANES) && is_told && metrics.contains(gauge) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "lag is not unknown: {states:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn all_found(staff: &Client, written: &[(Uuid, String)], limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    for (id, word) in written {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = staff
            .get_within(&format!("/v1/products?q={word}"), left)
            .await?
            .expect(200)?;
        ensure!(found.ids() == [*id], "{word} is not found: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_elasticsearch_away_writes_go_on_and_reads_say_when_to_come_back() -> Result<()> {
    let world = World::open(Plan {
        own_servers: true,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    let known = create_product(&staff, "Kettle", &[]).await?;
    page(&staff, known).await?;

    world
        .own_servers()?
        .stop_server(Server::Elasticsearch)
        .await?;
    let reads = async {
        for path in [
            "/v1/products?q=kettle".to_owned(),
            format!("/v1/products/{known}"),
        ] {
            let read = world.anonymous()?.get(&path).await?.expect(503)?;
            ensure!(read.retry_after().is_some(), "no Retry-After: {read:?}");
        }
        Ok(())
    };
    let named = async {
        says(&world, Service::QuerySvc, true, "elasticsearch").await?;
        says(&world, Service::Projector, true, "elasticsearch").await
    };
    let (written, (), ()) = tokio::try_join!(write_through(&staff, OUTAGE), reads, named)?;
    ensure!(written.len() > 20, "writes stood still: {}", written.len());
    world
        .own_servers()?
        .start_server(Server::Elasticsearch)
        .await?;
    all_found(&staff, &written, BACK_WITHIN).await?;
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_away_writes_go_on_and_everything_is_visible_soon_after_it_is_back() -> Result<()>
{
    let world = World::open(Plan {
        own_servers: true,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    let known = create_product(&staff, "Kettle", &[]).await?;
    page(&staff, known).await?;
    // Both replicas have followed as far as this session has seen.
    let shopper = world.anonymous()?;
    shopper.adopt(staff.tidemark());
    for _ in world.urls(Service::QuerySvc) {
        page(&shopper, known).await?;
    }

    world.own_servers()?.stop_server(Server::Kafka).await?;
    let named = async {
        says(&world, Service::CommandSvc, true, "kafka").await?;
        says(&world, Service::QuerySvc, true, "kafka").await?;
        says(&world, Service::Projector, true, "kafka").await
    };
    let (written, ()) = tokio::try_join!(write_through(&staff, OUTAGE), named)?;
    ensure!(written.len() > 20, "writes stood still: {}", written.len());
    page(&shopper, known).await?;
    let unseen = world.anonymous()?;
    unseen.adopt(staff.tidemark());
    let search = unseen
        .get(&format!("/v1/products?q={}", written[0].1))
        .await?
        .expect(503)?;
    ensure!(search.retry_after().is_some(), "no Retry-After: {search:?}");
    world.own_servers()?.start_server(Server::Kafka).await?;
    all_found(&staff, &written, BACK_WITHIN).await?;
    misses_nothing(&world).await?;
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgres_away_commands_say_when_to_come_back_and_queries_go_on() -> Result<()> {
    let world = World::open(Plan {
        own_servers: true,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    let word = rare_word();
    let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
    page(&staff, id).await?;

    world.own_servers()?.stop_server(Server::Postgres).await?;
    for _ in 0..20 {
        let price = json!({"amount": 1, "currency": "EUR"});
        let refused = staff
            .put(&format!("/v1/products/{id}/price"), &price)
            .await?
            .expect(503)?;
        ensure!(
            refused.retry_after().is_some(),
            "no Retry-After: {refused:?}"
        );
        let found = staff
            .get(&format!("/v1/products?q={word}"))
            .await?
            .expect(200)?;
        ensure!(found.ids() == [id], "{found:?}");
    }
    says(&world, Service::CommandSvc, false, "postgres").await?;
    says(&world, Service::QuerySvc, true, "postgres").await?;
    lag_is_unknown(&world).await?;
    world.own_servers()?.start_server(Server::Postgres).await?;
    let deadline = Instant::now() + BACK_WITHIN;
    let price = json!({"amount": 4711, "currency": "EUR"});
    while staff
        .put(&format!("/v1/products/{id}/price"), &price)
        .await?
        .status
        != 200
    {
        ensure!(Instant::now() < deadline, "commands did not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let shown = staff
        .get_within(&format!("/v1/products/{id}"), BACK_WITHIN)
        .await?
        .expect(200)?;
    ensure!(shown.body["price"]["amount"] == 4711, "{shown:?}");
    world.close().await
}
