//! What the alerts ask for is what the services tell: names and labels, from the first scrape on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::shop::create_product;
use e2e::world::{Plan, World};
use infra::service::Service;
use serde_json::json;
use uuid::Uuid;

const STOPS_WITHIN: Duration = Duration::from_secs(15);

/// The series of these names, each with a label that its alert sums or names by.
const ASKED: [(&str, Option<&str>); 8] = [
    ("tidemark_dependency_up", Some("name")),
    ("tidemark_relay_lag_events", None),
    ("tidemark_relay_owned_partitions", None),
    ("tidemark_relay_partitions", None),
    ("tidemark_command_seconds_bucket", Some("le")),
    ("tidemark_lag_seconds", Some("view")),
    ("tidemark_watermark_age_seconds", Some("view")),
    ("tidemark_lane_stopped", Some("view")),
];

async fn scrape(world: &World) -> Result<String> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut all = String::new();
    for service in [Service::CommandSvc, Service::Projector, Service::QuerySvc] {
        for url in world.urls(service) {
            let answer = http.get(format!("{url}/metrics")).send().await?;
            all += &answer.error_for_status()?.text().await?;
        }
    }
    Ok(all)
}

/// Appends a price change that nobody can read: its lane stands still.
async fn stop_a_lane(world: &World, product: Uuid) -> Result<()> {
    let stream = format!("product-{product}");
    let unreadable = json!({"product_id": product, "price": "on request"});
    let database = world.database().await?;
    let append = include_str!("append_price_change.sql");
    database
        .execute(append, &[&product, &stream, &unreadable])
        .await?;
    let deadline = Instant::now() + STOPS_WITHIN;
    while !scrape(world).await?.contains("tidemark_lane_stopped{") {
        ensure!(Instant::now() < deadline, "the lane does not stand still");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_label_that_an_alert_names_is_told() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let product = create_product(&staff, "Kettle", &[]).await?;
    staff.get("/v1/products?q=kettle").await?.expect(200)?;
    stop_a_lane(&world, product).await?;
    let told = scrape(&world).await?;
    let mut series: BTreeMap<&str, &str> = BTreeMap::new();
    for line in told.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap_or((line, ""));
        series.insert(name, rest);
    }
    for (name, label) in ASKED {
        let labels = series.get(name);
        ensure!(labels.is_some(), "{name} is not told");
        let has =
            |label: &str| labels.is_some_and(|labels| labels.contains(&format!("{label}=\"")));
        ensure!(label.is_none_or(has), "{name} has no label {label:?}");
    }
    for view in ["products", "categories"] {
        let zero = format!("tidemark_builds_lost_total{{view=\"{view}\"}} 0");
        ensure!(
            told.contains(&zero),
            "a counter is not born at zero: {zero}"
        );
    }
    world.close().await
}
