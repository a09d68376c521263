//! HEAD wherever GET is, of each service as it runs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::world::{Plan, World};
use infra::service::Service;
use reqwest::header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_LENGTH, HeaderMap};
use reqwest::{Client, Method, StatusCode};
use serde_json::json;

/// What every process serves.
const EVERYWHERE: [&str; 4] = ["/livez", "/readyz", "/metrics", "/nowhere"];
/// Names without their values: these differ between any two answers.
const VOLATILE: [&str; 3] = ["date", "x-request-id", "tidemark"];
/// What these say of the process changes by the moment, and so does its length.
const GROWING: [&str; 5] = [
    "/readyz",
    "/metrics",
    "/v1/lag",
    "/v1/builds",
    "/v1/tidemark",
];

struct Answer {
    status: StatusCode,
    headers: BTreeMap<String, String>,
    bytes: usize,
}

async fn ask(client: &Client, method: Method, url: &str) -> Result<Answer> {
    let answer = client.request(method, url).send().await?;
    let (status, headers) = (answer.status(), told(answer.headers()));
    Ok(Answer {
        status,
        headers,
        bytes: answer.bytes().await?.len(),
    })
}

fn told(headers: &HeaderMap) -> BTreeMap<String, String> {
    let told = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    let mut told: BTreeMap<_, _> = told.collect();
    for name in VOLATILE {
        told.entry(name.to_owned()).and_modify(String::clear);
    }
    told.entry(ACCESS_CONTROL_EXPOSE_HEADERS.to_string())
        .and_modify(|names| *names = sorted(names));
    told
}

/// Each worker of a process lists them in an order of its own.
fn sorted(names: &str) -> String {
    let mut names: Vec<&str> = names.split(", ").collect();
    names.sort_unstable();
    names.join(", ")
}

/// Answers the status.
async fn ensure_alike(client: &Client, service: &str, path: &str) -> Result<StatusCode> {
    let url = format!("{service}{path}");
    let mut get = ask(client, Method::GET, &url).await?;
    let mut head = ask(client, Method::HEAD, &url).await?;
    ensure!(head.bytes == 0, "{url}: {} bytes", head.bytes);
    if GROWING.contains(&path) {
        for answer in [&mut get, &mut head] {
            let length = answer.headers.get_mut(CONTENT_LENGTH.as_str());
            length.context("an answer has a length")?.clear();
        }
    }
    ensure!(
        (head.status, &head.headers) == (get.status, &get.headers),
        "{url}: HEAD {} {:?}, GET {} {:?}",
        head.status,
        head.headers,
        get.status,
        get.headers
    );
    Ok(get.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_like_get_by_each_service() -> Result<()> {
    let world = World::open(Plan {
        query_svcs: 1,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?;
    let lamp = json!({"sku": "L-1", "name": "Lamp", "price": {"amount": 5, "currency": "EUR"}});
    let lamp = staff.post("/v1/products", &lamp).await?.expect(201)?;
    let home = staff
        .post("/v1/categories", &json!({"name": "Home"}))
        .await?;
    let home = home.expect(201)?;
    let id = |body: &serde_json::Value| body["id"].as_str().unwrap_or_default().to_owned();
    let (lamp, home) = (
        format!("/v1/products/{}", id(&lamp.body)),
        format!("/v1/categories/{}", id(&home.body)),
    );
    for read in [lamp.as_str(), &home, "/v1/products", "/v1/categories"] {
        staff.get(read).await?.expect(200)?;
    }
    let documented = ["/openapi.json", "/docs", "/docs/"];
    let commands = ["/v1/products", "/v1/imports/products"];
    let queries = [
        lamp.as_str(),
        &home,
        "/v1/products?q=lamp&facets=brand",
        "/v1/products?limit=none",
        "/v1/products/suggest?q=la",
        "/v1/products/nothing",
        "/v1/categories",
        "/v1/tidemark",
    ];
    let pipeline = ["/v1/lag", "/v1/builds", "/v1/dead-letters"];
    let of_service: [(Service, Vec<&str>); 3] = [
        (Service::CommandSvc, [&documented[..], &commands].concat()),
        (Service::QuerySvc, [&documented[..], &queries].concat()),
        (Service::Projector, pipeline.to_vec()),
    ];
    let client = Client::builder().no_proxy().build()?;
    for (service, paths) in of_service {
        let url = &world.urls(service)[0];
        for path in EVERYWHERE.into_iter().chain(paths) {
            let status = ensure_alike(&client, url, path).await?;
            ensure!(
                status.as_u16() < 500,
                "{path} of {}: {status}",
                service.name()
            );
        }
    }
    world.close().await
}
