//! The tidemark on every answer covers what was written, and what was merely shown.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use schemas::id::Epoch;
use schemas::lane::{Lane, Position};
use schemas::tidemark::Tidemark;
use serde_json::json;
use uuid::Uuid;

use crate::service::{Answer, Service, keyring, product, send};

fn lane_of(id: &str) -> Lane {
    Lane::of(id.parse::<Uuid>().expect("ids are uuids"))
}

async fn head(service: &Service, id: &str) -> Result<u64> {
    Ok(service.heads().await?.get(lane_of(id)))
}

#[tokio::test]
async fn what_was_written_is_on_the_tidemark() -> Result<()> {
    let service = Service::start().await?;
    let created = service.post("/v1/products", product("L-1")).await?;
    let created = created.expect(StatusCode::CREATED)?;
    let id = created.id();
    assert_eq!(
        created.tidemark()?.seq(lane_of(&id)),
        head(&service, &id).await?
    );
    let request = service.request(Method::PUT, &format!("/v1/products/{id}/listing"));
    let request = request
        .header("tidemark", created.token())
        .json(&json!({"listed": false}));
    let unlisted = send(request).await?;
    assert_eq!(
        unlisted.tidemark()?.seq(lane_of(&id)),
        head(&service, &id).await?
    );
    assert_eq!(unlisted.header("cache-control"), Some("private, no-cache"));
    service.stop().await
}

#[tokio::test]
async fn what_was_only_shown_is_on_it_too() -> Result<()> {
    let service = Service::start().await?;
    let category = service.new_category("Lamps", None).await?;
    let id = service
        .new_product("L-1", json!({"category_ids": [category]}))
        .await?;
    let (of_product, of_category) = (head(&service, &id).await?, head(&service, &category).await?);
    let path = format!("/v1/products/{id}");

    let unchanged = service
        .put(&format!("{path}/listing"), json!({"listed": true}))
        .await?;
    assert_eq!(unchanged.etag(), "\"1\"");
    assert_eq!(unchanged.tidemark()?.seq(lane_of(&id)), of_product);
    let taken = service
        .post("/v1/products", product("L-1"))
        .await?
        .expect_problem("sku-taken")?;
    assert_eq!(taken.tidemark()?.seq(lane_of(&id)), of_product);
    let too_many = json!({"delta": -1, "reason": "sold"});
    let refused = service
        .post(&format!("{path}/stock-movements"), too_many)
        .await?;
    let refused = refused.expect_problem("insufficient-stock")?;
    assert_eq!(refused.tidemark()?.seq(lane_of(&id)), of_product);
    let named = service
        .patch(&path, json!({"category_ids": [category]}))
        .await?;
    assert_eq!(named.tidemark()?.seq(lane_of(&category)), of_category);
    let taken = service
        .post("/v1/categories", json!({"name": "Lamps"}))
        .await?;
    let taken = taken.expect_problem("category-name-taken")?;
    assert_eq!(taken.tidemark()?.seq(lane_of(&category)), of_category);
    service.stop().await
}

#[tokio::test]
async fn the_copy_of_a_rename_in_the_categorys_own_lane_counts() -> Result<()> {
    let service = Service::start().await?;
    let category = service.new_category("Lamps", None).await?;
    let path = format!("/v1/categories/{category}");
    service
        .patch(&path, json!({"name": "Lights"}))
        .await?
        .expect(StatusCode::OK)?;
    let seq = head(&service, &category).await?;
    let unchanged = service.patch(&path, json!({"name": "Lights"})).await?;
    let unchanged = unchanged.expect(StatusCode::OK)?;
    let entries: Vec<_> = unchanged.tidemark()?.entries().collect();
    assert_eq!(
        entries,
        [Position {
            lane: lane_of(&category),
            seq
        }]
    );
    service.stop().await
}

#[tokio::test]
async fn what_is_no_tidemark_changes_nothing() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let first = service
        .put(
            &format!("/v1/products/{id}/listing"),
            json!({"listed": true}),
        )
        .await?;
    let token = first.token().to_owned();
    let heads = service.heads().await?;
    let present = async |token: &str, prefer: &str| -> Result<Answer> {
        let request = service
            .request(Method::POST, "/v1/products")
            .json(&product("L-2"));
        send(request.header("tidemark", token).header("prefer", prefer)).await
    };
    let mut forged = token.clone().into_bytes();
    forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged)?;
    for bad in [
        &forged,
        &token[..token.len() - 1],
        "AAAA",
        "%%%",
        &"A".repeat(2_000),
    ] {
        present(bad, "")
            .await?
            .expect_problem("tidemark-malformed")?;
    }
    let nine = [token.as_str(); 9].join(",");
    present(&nine, "").await?.expect_problem("malformed")?;
    let epoch = first.tidemark()?.epoch();
    let foreign = keyring().sign(&Tidemark::new(Epoch(epoch.0 ^ 1)));
    present(&foreign, "handling=strict")
        .await?
        .expect_problem("history-changed")?;
    assert_eq!(service.heads().await?, heads);
    let taken = present(&foreign, "").await?.expect(StatusCode::CREATED)?;
    let given = taken.tidemark()?;
    assert_eq!(given.epoch(), epoch, "a command needs no cover");
    let heads = service.heads().await?;
    let covered = Lane::all().all(|lane| given.seq(lane) >= heads.get(lane));
    assert!(covered, "a foreign tidemark stands for the heads");
    service.stop().await
}
