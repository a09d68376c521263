//! What the alerts ask for is what the services tell: names and labels, from the first scrape on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::shop::create_product;
use e2e::world::{Plan, World};
use infra::service::Service;
use serde_json::json;
use uuid::Uuid;

const STOPS_WITHIN: Duration = Duration::from_secs(15);

const ALERTS: &str = include_str!("../../../infra/monitoring/alerts.yaml");

/// The metrics that alerts name, each with the labels that its alert sums or names by.
fn asked() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut asked = BTreeMap::<_, BTreeSet<_>>::new();
    for alert in ALERTS.split("- alert:").skip(1) {
        let words = alert.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let metrics = words.filter(|word| word.starts_with("tidemark_"));
        for metric in metrics {
            asked.entry(metric).or_default().extend(labels_of(alert));
        }
    }
    asked
}

/// `instance` is Prometheus' own.
fn labels_of(alert: &str) -> impl Iterator<Item = &str> {
    let name = |text: &'_ str| {
        text.find(|c: char| !c.is_alphanumeric())
            .unwrap_or(text.len())
    };
    let shown = alert
        .split("$labels.")
        .skip(1)
        .map(move |text| &text[..name(text)]);
    let sums = alert
        .split("by (")
        .skip(1)
        .filter_map(|text| text.split(')').next());
    let summed = sums.flat_map(|labels| labels.split(',').map(str::trim));
    shown.chain(summed).filter(|label| *label != "instance")
}

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
    let asked = asked();
    ensure!(asked.len() > 8, "too few metrics: {asked:?}");
    for (name, labels) in asked {
        let told = series.get(name);
        let told = told.with_context(|| format!("{name} is not told"))?;
        for label in labels {
            let is_told = told.contains(&format!("{label}=\""));
            ensure!(is_told, "{name} has no label {label}: {told}");
        }
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
