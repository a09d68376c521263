//! Imports whose transactions fail, wait too long, or lose their client.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chassis::auth::Role;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{Service, token};

const PATH: &str = "/v1/imports/products";
const WITHIN: Duration = Duration::from_secs(30);

fn lines(skus: impl IntoIterator<Item = usize>) -> String {
    let line = |number| {
        let price = json!({"amount": 5, "currency": "EUR"});
        json!({"sku": format!("L-{number}"), "name": "Lamp", "price": price})
    };
    skus.into_iter()
        .map(|number| format!("{}\n", line(number)))
        .collect()
}

/// The answers, totals last.
async fn import(service: &Service, body: String) -> Result<Vec<Value>> {
    let request = service.request(Method::POST, PATH).timeout(2 * WITHIN);
    let request = request.header(CONTENT_TYPE, "application/x-ndjson");
    let text = request.body(body).send().await?.text().await?;
    Ok(text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

async fn products(service: &Service) -> Result<i64> {
    let count = "select count(*) from product";
    Ok(service.db.query_one(count, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_breaks_its_batch_is_found_by_halving_and_alone_refused() -> Result<()> {
    let service = Service::start().await?;
    let broken = "alter table product add check (sku not in ('L-7', 'L-40'))";
    service.db.batch_execute(broken).await?;
    let answers = import(&service, lines(0..50)).await?;
    let (totals, answers) = answers.split_last().context("an answer has totals")?;
    ensure!(
        totals["created"] == 48 && totals["refused"] == 2,
        "{totals}"
    );
    for (number, answer) in answers.iter().enumerate() {
        ensure!(answer["line"] == number + 1, "out of order: {answer}");
        let is_refused = answer["problem"]["type"] == "/problems/internal";
        ensure!(is_refused == [7, 40].contains(&number), "{answer}");
    }
    ensure!(products(&service).await? == 48);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_whose_budget_is_spent_are_refused_and_may_be_sent_again() -> Result<()> {
    let service = Service::start().await?;
    let other = service.hold("lane").await?;
    let answers = import(&service, lines(0..5)).await?;
    let (totals, answers) = answers.split_last().context("an answer has totals")?;
    ensure!(totals["refused"] == 5, "{totals}");
    for answer in answers {
        let problem = &answer["problem"];
        ensure!(
            problem["type"] == "/problems/dependency-unavailable"
                && problem["retry_after_ms"].is_u64(),
            "{answer}"
        );
    }
    other.batch_execute("commit").await?;
    let again = import(&service, lines(0..5)).await?;
    let totals = again.last().context("an answer has totals")?;
    ensure!(
        totals["created"] == 5,
        "nothing of it was half done: {totals}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_stops_what_is_not_under_way() -> Result<()> {
    const LINES: usize = 20_000;
    let service = Service::start().await?;
    let other = service.hold("lane").await?;
    let address = service.url.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await?;
    let body = lines(0..LINES);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        token(Role::Admin, Duration::from_secs(60)),
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    ensure!(client.read(&mut [0; 1]).await? == 1, "the answer begins");
    service.blocked_backend().await?;
    drop(client);
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let stopped = async {
        while service.metric("tidemark_imports_running").await? > 0.0 {
            looks.tick().await;
        }
        other.batch_execute("commit").await?;
        let under_way = "select count(*) from pg_stat_activity
            where datname = current_database() and application_name = 'command-svc'
                and state <> 'idle'";
        while service.db.query_one(under_way, &[]).await?.get::<_, i64>(0) > 0 {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WITHIN, stopped)
        .await
        .context("the import goes on")??;
    let made = products(&service).await?;
    ensure!(made < 2_000, "{made} products were made for nobody");
    service.stop().await
}
