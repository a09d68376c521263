//! Commits that took effect and whose answer was lost: nobody is told otherwise, nothing comes twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use command_svc::execute::ExecuteError;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::in_process::{self, as_one_group, commands, committed, new_products};
use crate::service::{Answer, Service, send};

async fn reprice(service: &Service, id: &str, key: Option<&str>) -> Result<Answer> {
    let path = format!("/v1/products/{id}/price");
    let request = service.request(Method::PUT, &path);
    let request = key.into_iter().fold(request, |request, key| {
        request.header("idempotency-key", key)
    });
    send(request.json(&json!({"amount": 5, "currency": "EUR"}))).await
}

async fn version(service: &Service, id: &str) -> Result<i64> {
    let version = "select version from product where id::text = $1";
    Ok(service.db.query_one(version, &[&id]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_it_is_unknown_and_with_one_it_is_found() -> Result<()> {
    let (service, proxy) = Service::start_behind_a_proxy().await?;
    let lamp = service.new_product("L-1", json!({})).await?;
    let chair = service.new_product("L-2", json!({})).await?;
    proxy.swallow(1);
    reprice(&service, &lamp, None)
        .await?
        .expect_problem("outcome-unknown")?;
    ensure!(version(&service, &lamp).await? == 2, "it took effect");

    proxy.swallow(1);
    let told = reprice(&service, &chair, Some("k"))
        .await?
        .expect(StatusCode::OK)?;
    ensure!(proxy.has_swallowed_all());
    ensure!(told.etag() == "\"2\"" && told.header("idempotency-replayed").is_none());
    ensure!(version(&service, &chair).await? == 2, "it happened once");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_an_import_happens_once() -> Result<()> {
    let (service, proxy) = Service::start_behind_a_proxy().await?;
    let lines: String = (0..50)
        .map(|number| {
            let price = json!({"amount": 5, "currency": "EUR"});
            let line = json!({"sku": format!("L-{number}"), "name": "Lamp", "price": price});
            format!("{line}\n")
        })
        .collect();
    proxy.swallow(1);
    let request = service.request(Method::POST, "/v1/imports/products");
    let request = request.header(CONTENT_TYPE, "application/x-ndjson");
    let text = request.body(lines).send().await?.text().await?;
    let totals: Value = serde_json::from_str(text.lines().last().unwrap_or_default())?;
    ensure!(proxy.has_swallowed_all());
    ensure!(totals["refused"] == 0 && totals["lines"] == 50, "{totals}");
    let made = "select count(*), max(version) from product";
    let made = service.db.query_one(made, &[]).await?;
    ensure!((made.get::<_, i64>(0), made.get::<_, i64>(1)) == (50, 1));
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_happens_once_and_all_of_it_is_told_that_the_outcome_is_unknown() -> Result<()> {
    let (service, proxy) = Service::start_behind_a_proxy().await?;
    let commands = commands(&service, &service.url_behind(&proxy)?, 1).await?;
    let ids = new_products(&service, 6).await?;
    let ample = Duration::from_secs(5);
    let changes = ids
        .iter()
        .map(|id| in_process::reprice(&commands, *id, ample, None));
    let swallow = async {
        proxy.swallow(1);
        Ok(())
    };
    for told in as_one_group(&commands, changes, swallow).await? {
        let unknown = matches!(told, Err(ExecuteError::OutcomeUnknown(_)));
        ensure!(unknown, "a member was told {told:?}");
    }
    ensure!(proxy.has_swallowed_all());
    ensure!(
        committed(&service).await? == (6, 1),
        "each change once, all in one transaction"
    );
    service.stop().await
}
