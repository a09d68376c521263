//! A privilege that is taken away is a fault of the connection, not of any document: writes are
//! tried again until it is given back, and the alert fires until then.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::shop::{create_product, page, rare_word};
use e2e::world::{Plan, World};
use infra::service::Service;
use serde_json::{Value, json};

use super::administrator::Administrator;

const PROJECTOR: &str = "projector";
/// Longer than a single denial is remembered: an alert on it lasts because denials go on.
const DENIED_FOR: Duration = Duration::from_secs(15);
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// Ends several times before the privilege is back: lanes go back to their checkpoints as well.
const RETRY_BUDGET: &str = "4";

/// The role of the projector, with or without the privilege to write documents of views. A bulk as
/// a whole is allowed either way, since checkpoints and dead letters may always be written.
async fn grant(administrator: &Administrator, may_write: bool) -> Result<()> {
    let no_writes: &[&str] = &["read", "view_index_metadata", "monitor", "maintenance"];
    let of_views = if may_write { &["all"] } else { no_writes };
    let indices = [
        ("tidemark-*-checkpoints", &["all"][..]),
        ("tidemark-*-dead-letters", &["all"]),
        ("tidemark-*-products-*", of_views),
        ("tidemark-*-categories-*", of_views),
    ];
    administrator.put_role(PROJECTOR, &indices).await
}

/// What a projector says of itself.
struct Projector {
    http: reqwest::Client,
    url: String,
}

impl Projector {
    async fn ready(&self) -> Result<Value> {
        let answer = self.http.get(format!("{}/readyz", self.url)).send();
        Ok(answer.await?.error_for_status()?.json().await?)
    }

    async fn dead_letters(&self) -> Result<Value> {
        let answer = self.http.get(format!("{}/v1/dead-letters", self.url));
        Ok(answer.send().await?.error_for_status()?.json().await?)
    }

    async fn metrics(&self) -> Result<Metrics> {
        let answer = self.http.get(format!("{}/metrics", self.url)).send();
        Ok(Metrics(answer.await?.error_for_status()?.text().await?))
    }

    /// Waits until the metric that the alert watches says this.
    async fn until_reaches_elasticsearch(&self, reaches: bool, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.metrics().await?.reaches_elasticsearch()? != reaches {
            ensure!(
                Instant::now() < deadline,
                "tidemark_dependency_up does not say: {reaches}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

struct Metrics(String);

impl Metrics {
    /// The sum of all series that begin so.
    fn sum(&self, name: &str) -> Result<f64> {
        let lines = self.0.lines().filter(|line| line.starts_with(name));
        let values = lines.map(|line| {
            let (_, value) = line.rsplit_once(' ').context("a sample without a value")?;
            Ok(value.parse::<f64>()?)
        });
        values.sum()
    }

    fn reaches_elasticsearch(&self) -> Result<bool> {
        let up = self.sum("tidemark_dependency_up{name=\"elasticsearch\"}")?;
        Ok(up > 0.0)
    }

    /// Bulks that were denied as a whole.
    fn denied_bulks(&self) -> Result<f64> {
        let series =
            "tidemark_elasticsearch_request_seconds_count{operation=\"bulk\",outcome=\"denied\"}";
        self.sum(series)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_that_loses_the_privilege_to_write_goes_on_once_it_is_given_back() -> Result<()>
{
    let mut world = World::open(Plan {
        projectors: 0,
        query_svcs: 0,
        secured: true,
        ..Plan::default()
    })
    .await?;
    let administrator = Administrator::of(&world.surroundings().endpoints)?;
    grant(&administrator, true).await?;
    let password = rare_word();
    administrator
        .put_user(PROJECTOR, &password, PROJECTOR)
        .await?;
    let as_projector = [
        ("ELASTICSEARCH_USERNAME", PROJECTOR),
        ("ELASTICSEARCH_PASSWORD", password.as_str()),
        ("RETRY_BUDGET_SECONDS", RETRY_BUDGET),
    ];
    let running = world.start_with(Service::Projector, &as_projector).await?;
    world.start(Service::QuerySvc).await?;
    world.ready().await?;
    let projector = Projector {
        http: reqwest::Client::builder().no_proxy().build()?,
        url: running.url,
    };
    let staff = world.staff()?.preferring("wait=5");
    let known = create_product(&staff, "Kettle", &[]).await?;
    page(&staff, known).await?;
    projector
        .until_reaches_elasticsearch(true, NOTICED_WITHIN)
        .await?;

    grant(&administrator, false).await?;
    let price = json!({"amount": 4711, "currency": "EUR"});
    let path = format!("/v1/products/{known}/price");
    staff.put(&path, &price).await?.expect(200)?;
    let mut written = Vec::new();
    for _ in 0..40 {
        let word = rare_word();
        let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
        written.push((id, word));
    }
    keeps_trying(&projector).await?;
    let shown = page(&world.anonymous()?, known).await?;
    ensure!(shown["price"]["amount"] == 1999, "{shown}");

    grant(&administrator, true).await?;
    let deadline = Instant::now() + BACK_WITHIN;
    for (id, word) in &written {
        let left = deadline.saturating_duration_since(Instant::now());
        let search = format!("/v1/products?q={word}");
        let found = staff.get_within(&search, left).await?.expect(200)?;
        ensure!(found.ids() == [*id], "{word} is not found: {found:?}");
    }
    ensure!(page(&staff, known).await?["price"]["amount"] == 4711);
    projector
        .until_reaches_elasticsearch(true, BACK_WITHIN)
        .await?;
    let letters = projector.dead_letters().await?;
    ensure!(letters["items"] == json!([]), "{letters}");
    world.ensure_agreement().await?;
    world.close().await
}

/// Fails unless the denial is told all the time, and no document is held to be at fault.
async fn keeps_trying(projector: &Projector) -> Result<()> {
    projector
        .until_reaches_elasticsearch(false, NOTICED_WITHIN)
        .await?;
    let ready = projector.ready().await?;
    ensure!(
        ready["away"]["elasticsearch"] == "elasticsearch refuses who asks",
        "{ready}"
    );
    let end = Instant::now() + DENIED_FOR;
    let mut retries = projector
        .metrics()
        .await?
        .sum("tidemark_sink_retries_total")?;
    let mut retried_at = Instant::now();
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = projector.metrics().await?;
        ensure!(!told.reaches_elasticsearch()?, "the alert would end");
        ensure!(told.sum("tidemark_lane_stopped")? == 0.0, "a lane stopped");
        ensure!(told.denied_bulks()? == 0.0, "single items are to be denied");
        let now = told.sum("tidemark_sink_retries_total")?;
        if now > retries {
            (retries, retried_at) = (now, Instant::now());
        }
        ensure!(
            retried_at.elapsed() < NOTICED_WITHIN,
            "nothing is tried again"
        );
    }
    let letters = projector.dead_letters().await?;
    ensure!(letters["items"] == json!([]), "{letters}");
    Ok(())
}
