//! Servers that let nobody in without encryption, a password and a certificate: with the settings
//! for them everything works as always, and a client that cannot prove who it is is refused.

use anyhow::{Context, Result, ensure};
use e2e::certificates::Authority;
use e2e::shop::{create_product, rare_word};
use e2e::world::{Plan, World};
use infra::operation::connection::Connection;
use infra::operation::replay::replay;
use infra::service::Service;
use schemas::view::View;
use testbed::stack::{Endpoints, Security};

mod administrator;
mod lost_privilege;
mod refusals;

use administrator::Administrator;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_found_over_servers_that_demand_tls_and_passwords() -> Result<()> {
    let mut world = World::open(Plan {
        projectors: 0,
        query_svcs: 0,
        secured: true,
        ..Plan::default()
    })
    .await?;
    // Each way in is somebody's: SCRAM and a user of Elasticsearch, PLAIN, an API key.
    world
        .start_with(Service::Projector, &[("KAFKA_SASL_MECHANISM", "PLAIN")])
        .await?;
    let administrator = Administrator::of(&world.surroundings().endpoints)?;
    let key = administrator.api_key("query-svc").await?;
    let by_key = [
        ("ELASTICSEARCH_API_KEY", key.as_str()),
        ("ELASTICSEARCH_USERNAME", ""),
        ("ELASTICSEARCH_PASSWORD", ""),
    ];
    world.start_with(Service::QuerySvc, &by_key).await?;
    world.ready().await?;

    let staff = world.staff()?.preferring("wait=5");
    let word = rare_word();
    let id = create_product(&staff, &format!("Kettle {word}"), &[]).await?;
    let search = format!("/v1/products?q={word}");
    let found = staff.get(&search).await?.expect(200)?;
    ensure!(found.ids() == [id], "{found:?}");

    world.ensure_agreement().await?;
    let tool = Connection::open(world.surroundings()).await?;
    let replayed = replay(&tool, View::Products, |_| {}).await?;
    ensure!(replayed.to > 1, "{replayed:?}");
    drop(tool);
    let found = staff.get(&search).await?.expect(200)?;
    ensure!(found.ids() == [id], "{found:?}");

    let endpoints = &world.surroundings().endpoints;
    let stranger = Authority::new()?;
    refusals::of_postgres(endpoints, &stranger).await?;
    refusals::of_elasticsearch(endpoints, &stranger).await?;
    refusals::of_kafka(endpoints, &stranger).await?;
    world.close().await
}

fn security(endpoints: &Endpoints) -> Result<&Security> {
    endpoints.security.as_ref().context("a secured stack")
}
