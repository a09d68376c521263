//! Input of every bad kind gets its problem and changes nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use chassis::auth::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::service::{Answer, Service, product, send, token};

/// A product's body with these members.
fn with(members: Value) -> Value {
    let mut body = product("L-9");
    for (name, value) in members.as_object().cloned().unwrap_or_default() {
        body[name] = value;
    }
    body
}

/// Bodies of a new product, and where they are wrong.
fn bad_products() -> Vec<(Value, Vec<&'static str>)> {
    let long = |length: usize| json!("x".repeat(length));
    let ids: Vec<_> = (0..21).map(Uuid::from_u128).collect();
    vec![
        (with(json!({"name": 7})), vec!["/name"]),
        (with(json!({"colour": "red"})), vec!["/colour"]),
        (
            with(json!({"price": {"amount": -1, "currency": "EUR"}})),
            vec!["/price/amount"],
        ),
        (
            with(json!({"price": {"amount": 1.5, "currency": "EUR"}})),
            vec!["/price/amount"],
        ),
        (
            with(json!({"price": {"amount": 1, "currency": "EURO"}})),
            vec!["/price/currency"],
        ),
        (
            with(json!({"price": {"amount": 1, "currency": "EUR", "x": 1}})),
            vec!["/price/x"],
        ),
        (with(json!({"price": 5})), vec!["/price"]),
        (with(json!({"price": [1, "EUR"]})), vec!["/price"]),
        (json!({"sku": "L-9", "name": "x"}), vec!["/price"]),
        (
            with(json!({"sku": "", "name": " ", "inventory": -1})),
            vec!["/sku", "/name", "/inventory"],
        ),
        (with(json!({"sku": long(65)})), vec!["/sku"]),
        (with(json!({"sku": "a\nb"})), vec!["/sku"]),
        (with(json!({"sku": "X\u{7}B"})), vec!["/sku"]),
        (with(json!({"sku": "\u{feff}X"})), vec!["/sku"]),
        (with(json!({"sku": "X\u{ad}"})), vec!["/sku"]),
        (with(json!({"name": "\u{200b}"})), vec!["/name"]),
        (with(json!({"brand": "\u{2800}"})), vec!["/brand"]),
        (with(json!({"brand": "Acme\u{99}"})), vec!["/brand"]),
        (
            with(json!({"attributes": {"a b": "1", "a  b": "2"}})),
            vec!["/attributes/a b"],
        ),
        (with(json!({"name": long(251)})), vec!["/name"]),
        (
            with(json!({"description": long(20_001)})),
            vec!["/description"],
        ),
        (with(json!({"brand": long(201)})), vec!["/brand"]),
        (with(json!({"name": "a\u{0}b"})), vec!["/name"]),
        (
            with(json!({"category_ids": ["no-uuid"]})),
            vec!["/category_ids/0"],
        ),
        (with(json!({"category_ids": ids})), vec!["/category_ids"]),
        (with(json!({"attributes": {"a": 1}})), vec!["/attributes/a"]),
        (
            with(json!({"attributes": {"a/b": "\u{1}"}})),
            vec!["/attributes/a~1b"],
        ),
        (
            with(json!({"inventory": 1_000_000_000_001_i64})),
            vec!["/inventory"],
        ),
        (json!([]), vec![""]),
        (json!("text"), vec![""]),
    ]
}

#[tokio::test]
async fn a_bad_product_is_told_where_it_is_wrong() -> Result<()> {
    let service = Service::start().await?;
    for (body, pointers) in bad_products() {
        let refused = service.post("/v1/products", body.clone()).await?;
        let refused = refused.expect_problem("validation")?;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.pointers(), pointers, "{body}");
    }
    assert_eq!(service.heads().await?.total(), 0);
    service.stop().await
}

/// Bodies of changes, a line each: method, path, body, and where it is wrong.
const BAD_CHANGES: &str = r#"
PATCH product {"name": null} /name
PATCH product {"sku": "L-2"} /sku
PATCH product {"attributes": {"a": 5}} /attributes/a
PUT product/price {"amount": -1, "currency": "X"} /amount,/currency
PUT product/price {"amount": 1} /currency
PUT product/listing {"listed": "yes"} /listed
PUT product/listing {} /listed
POST product/stock-movements {"delta": 0, "reason": ""} /delta,/reason
POST product/stock-movements {"delta": 1e30, "reason": "x"} /delta
PATCH category {"name": "A > B"} /name
PATCH category {"name": null} /name
PATCH category {"parent_id": "x"} /parent_id
"#;

#[tokio::test]
async fn a_bad_change_is_told_where_it_is_wrong() -> Result<()> {
    let service = Service::start().await?;
    let product = format!(
        "/v1/products/{}",
        service.new_product("L-1", json!({})).await?
    );
    let category = format!(
        "/v1/categories/{}",
        service.new_category("Lamps", None).await?
    );
    let heads = service.heads().await?;
    for line in BAD_CHANGES.lines().filter(|line| !line.is_empty()) {
        let (ask, pointers) = line.rsplit_once(' ').context(line)?;
        let (method, ask) = ask.split_once(' ').context(line)?;
        let (path, body) = ask.split_once(' ').context(line)?;
        let path = path
            .replace("product", &product)
            .replace("category", &category);
        let body: Value = serde_json::from_str(body)?;
        let refused = send(service.request(method.parse()?, &path).json(&body)).await?;
        let refused = refused.expect_problem("validation")?;
        assert_eq!(refused.pointers().join(","), pointers, "{line}");
    }
    let long = json!({"name": "x".repeat(101)});
    service
        .patch(&category, long)
        .await?
        .expect_problem("validation")?;
    assert_eq!(service.heads().await?, heads);
    service.stop().await
}

#[tokio::test]
async fn an_attribute_that_a_body_names_twice_is_refused() -> Result<()> {
    let service = Service::start().await?;
    let changed = service.new_product("L-1", json!({})).await?;
    let heads = service.heads().await?;
    let attributes = r#""attributes": {"a": "1", "b": "2", "a": "3"}"#;
    let created = product("L-2")
        .to_string()
        .replacen('{', &format!("{{{attributes}, "), 1);
    let change = format!("{{{attributes}}}");
    let asked = [
        (Method::POST, "/v1/products".to_owned(), created),
        (Method::PATCH, format!("/v1/products/{changed}"), change),
    ];
    for (method, path, body) in asked {
        let request = service.request(method, &path);
        let request = request.header("content-type", "application/json");
        let refused = send(request.body(body))
            .await?
            .expect_problem("validation")?;
        assert_eq!(refused.pointers(), ["/attributes/a"], "{path}");
    }
    assert_eq!(service.heads().await?, heads);
    service.stop().await
}

#[tokio::test]
async fn what_cannot_be_read_is_malformed() -> Result<()> {
    let service = Service::start().await?;
    let raw = async |content_type: &'static str, body: Vec<u8>| -> Result<Answer> {
        let request = service.request(Method::POST, "/v1/products");
        send(request.header("content-type", content_type).body(body)).await
    };
    let text = product("L-1").to_string();
    let bad_utf8 = [text.replace("Desk", "\u{1f}").as_bytes(), b""].concat();
    let bad_utf8: Vec<u8> = bad_utf8
        .into_iter()
        .map(|byte| if byte == 0x1f { 0xff } else { byte })
        .collect();
    let json = "application/json";
    let two = format!("{text} {text}").into_bytes();
    for body in [bad_utf8, b"{".to_vec(), Vec::new(), two] {
        raw(json, body).await?.expect_problem("malformed")?;
    }
    raw("text/plain", text.clone().into())
        .await?
        .expect_problem("unsupported-media-type")?;
    let padded = |size: usize| {
        let mut body = text.clone().into_bytes();
        body.resize(size, b' ');
        body
    };
    raw(json, padded(1024 * 1024 + 1))
        .await?
        .expect_problem("body-too-large")?;
    assert_eq!(service.heads().await?.total(), 0);
    raw(json, padded(1024 * 1024))
        .await?
        .expect(StatusCode::CREATED)?;
    service.stop().await
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for_long() -> Result<()> {
    let service = Service::start().await?;
    let address = service
        .url
        .strip_prefix("http://")
        .context("the address is http")?;
    let mut socket = TcpStream::connect(address).await?;
    let token = token(Role::Admin, Duration::from_secs(60));
    let head = format!(
        "POST /v1/products HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await?;
    let mut line = String::new();
    let mut answer = BufReader::new(socket);
    let read = answer.read_line(&mut line);
    tokio::time::timeout(Duration::from_secs(10), read).await??;
    assert!(line.starts_with("HTTP/1.1 400"), "{line}");
    service.stop().await
}
