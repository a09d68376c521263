//! If-Match: a change of another version than the client saw is no change.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use schemas::lane::Lane;
use serde_json::json;
use uuid::Uuid;

use crate::service::{Answer, Service, product, send};

async fn reprice(service: &Service, id: &str, amount: i64, if_match: &str) -> Result<Answer> {
    let price = json!({"amount": amount, "currency": "EUR"});
    let path = format!("/v1/products/{id}/price");
    send(
        service
            .request(Method::PUT, &path)
            .header("if-match", if_match)
            .json(&price),
    )
    .await
}

#[tokio::test]
async fn the_first_number_of_an_etag_decides() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    reprice(&service, &id, 1, "\"1\"")
        .await?
        .expect(StatusCode::OK)?;
    reprice(&service, &id, 2, "\"2-977\"")
        .await?
        .expect(StatusCode::OK)?;
    reprice(&service, &id, 3, "*")
        .await?
        .expect(StatusCode::OK)?;
    reprice(&service, &id, 4, "\"9\", \"4\"")
        .await?
        .expect(StatusCode::OK)?;
    let heads = service.heads().await?;
    for stale in ["\"4\"", "\"4-1\"", "W/\"5\"", "\"abc\""] {
        let refused = reprice(&service, &id, 5, stale)
            .await?
            .expect_problem("version-mismatch")?;
        assert_eq!(refused.body["current_version"], json!(5));
        let shown = refused.tidemark()?.seq(Lane::of(id.parse::<Uuid>()?));
        assert_eq!(shown, 5, "the refusal shows the version that is there");
    }
    for malformed in ["5", "\"5", ""] {
        reprice(&service, &id, 5, malformed)
            .await?
            .expect_problem("malformed")?;
    }
    assert_eq!(service.heads().await?, heads);
    service.stop().await
}

#[tokio::test]
async fn nothing_is_there_that_a_creation_could_match() -> Result<()> {
    let service = Service::start().await?;
    let heads = service.heads().await?;
    let wanted = [
        ("/v1/products", product("L-1")),
        ("/v1/categories", json!({"name": "Lamps"})),
    ];
    for (path, body) in &wanted {
        for tag in ["*", "\"1\"", "\"abc\""] {
            let request = service.request(Method::POST, path).header("if-match", tag);
            let refused = send(request.json(body)).await?;
            assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED);
            refused.expect_problem("version-mismatch")?;
        }
    }
    assert_eq!(service.heads().await?, heads);
    service.stop().await
}

#[tokio::test]
async fn categories_and_stocks_have_versions_of_their_own() -> Result<()> {
    let service = Service::start().await?;
    let category = service.new_category("Lamps", None).await?;
    let id = service.new_product("L-1", json!({})).await?;
    let cases = [
        (
            Method::PATCH,
            format!("/v1/categories/{category}"),
            json!({"name": "Lights"}),
            1,
        ),
        (
            Method::DELETE,
            format!("/v1/categories/{category}"),
            json!(null),
            2,
        ),
        (
            Method::PUT,
            format!("/v1/products/{id}/listing"),
            json!({"listed": false}),
            1,
        ),
        (
            Method::PATCH,
            format!("/v1/products/{id}"),
            json!({"name": "Light"}),
            2,
        ),
        (
            Method::POST,
            format!("/v1/products/{id}/stock-movements"),
            json!({"delta": 1, "reason": "found"}),
            0,
        ),
    ];
    for (method, path, body, version) in cases {
        let ask = |version: i32| {
            let if_match = format!("\"{version}\"");
            service
                .request(method.clone(), &path)
                .header("if-match", if_match)
                .json(&body)
        };
        let refused = send(ask(version + 1))
            .await?
            .expect_problem("version-mismatch")?;
        assert_eq!(refused.body["current_version"], json!(version), "{path}");
        assert!(refused.tidemark()?.entries().len() > 0, "{path}");
        let changed = send(ask(version)).await?.expect(StatusCode::OK)?;
        assert_eq!(changed.etag(), format!("\"{}\"", version + 1), "{path}");
    }
    service.stop().await
}

#[tokio::test]
async fn an_operator_can_require_if_match() -> Result<()> {
    let service = Service::start_with(&["--require-if-match"]).await?;
    let id = service.new_product("L-1", json!({})).await?;
    let price = json!({"amount": 1, "currency": "EUR"});
    let blind = service
        .put(&format!("/v1/products/{id}/price"), price)
        .await?;
    blind.expect_problem("precondition-required")?;
    reprice(&service, &id, 1, "\"1\"")
        .await?
        .expect(StatusCode::OK)?;
    service.stop().await
}
