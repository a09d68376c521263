//! Idempotency-Key: the same request again is the same answer again, and happens once.

use std::time::Duration;

use anyhow::{Result, ensure};
use chassis::problem::ApiError;
use command_svc::execute::ExecuteError;
use command_svc::store::idempotency::IdempotencyKey;
use futures::future::try_join_all;
use reqwest::{Method, StatusCode};
use schemas::problem::ProblemType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::in_process::{commands, committed, new_products, reprice};
use crate::service::{Answer, Service, product, send};

/// As every command that renames, moves or retires a category.
const LOCK_TREE: &str = "select pg_advisory_xact_lock(x'7469646574726565'::bigint)";

async fn post(service: &Service, path: &str, key: &str, body: &Value) -> Result<Answer> {
    let request = service
        .request(Method::POST, path)
        .header("idempotency-key", key);
    send(request.json(body)).await
}

fn assert_same(first: &Answer, again: &Answer) {
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    for header in ["etag", "location", "tidemark"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
}

#[tokio::test]
async fn an_answer_is_given_again_in_full() -> Result<()> {
    let service = Service::start().await?;
    let body = product("L-1");
    let created = post(&service, "/v1/products", "k1", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(created.header("idempotency-replayed"), None);
    let heads = service.heads().await?;
    assert_same(
        &created,
        &post(&service, "/v1/products", "k1", &body).await?,
    );

    let taken = post(&service, "/v1/products", "k2", &body)
        .await?
        .expect_problem("sku-taken")?;
    assert_same(&taken, &post(&service, "/v1/products", "k2", &body).await?);

    let price = format!("/v1/products/{}/price", created.id());
    let reprice = || {
        let body = json!({"amount": 5, "currency": "EUR"});
        let request = service
            .request(Method::PUT, &price)
            .header("if-match", "\"7\"");
        send(request.header("idempotency-key", "k3").json(&body))
    };
    let mismatch = reprice().await?.expect_problem("version-mismatch")?;
    assert_same(&mismatch, &reprice().await?);

    let nowhere = format!("/v1/products/{}/stock-movements", Uuid::from_u128(1));
    let body = json!({"delta": 1, "reason": "counted"});
    let absent = post(&service, &nowhere, "k4", &body)
        .await?
        .expect_problem("not-found")?;
    assert_same(&absent, &post(&service, &nowhere, "k4", &body).await?);
    assert_eq!(service.heads().await?, heads);
    service.stop().await
}

#[tokio::test]
async fn a_replay_waits_for_nothing_but_its_key() -> Result<()> {
    let service = Service::start().await?;
    let lamps = service.new_category("Lamps", None).await?;
    let id = service.new_product("L-1", json!({})).await?;
    let path = format!("/v1/products/{id}");
    let change = || {
        let body = json!({"category_ids": [&lamps], "name": "Lamp"});
        let request = service.request(Method::PATCH, &path);
        send(request.header("idempotency-key", "k").json(&body))
    };
    let first = change().await?.expect(StatusCode::OK)?;
    let product = service.hold("product").await?;
    // The lock of the tree.
    let tree = service.connect().await?;
    tree.batch_execute("begin").await?;
    tree.execute(LOCK_TREE, &[]).await?;
    let lanes = service.hold("lane").await?;
    assert_same(&first, &change().await?);
    for other in [product, tree, lanes] {
        other.batch_execute("rollback").await?;
    }
    service.stop().await
}

#[tokio::test]
async fn a_kept_answer_is_what_was_sent_whatever_this_release_would_say() -> Result<()> {
    let service = Service::start().await?;
    let body = product("L-1");
    let created = post(&service, "/v1/products", "k", &body).await?;
    created.expect(StatusCode::CREATED)?;
    let other = r#"update idempotency set answer = '{"from": "another release"}', status = 201,
        headers = '[["content-type", "application/json"], ["etag", "\"later\""]]',
        body = convert_to('{"a field": "of another release"}', 'UTF8')"#;
    service.db.execute(other, &[]).await?;
    let again = post(&service, "/v1/products", "k", &body).await?;
    let again = again.expect(StatusCode::CREATED)?;
    assert_eq!(again.body, json!({"a field": "of another release"}));
    assert_eq!(again.etag(), "\"later\"");
    service.stop().await
}

/// As if the release before had answered: it leaves the columns of V5 empty, or as they were under
/// a key that it took over after a day.
#[tokio::test]
async fn what_the_release_before_has_kept_is_read_and_reads_what_is_kept_now() -> Result<()> {
    let service = Service::start().await?;
    let body = product("L-1");
    let asked = [("k1", "/v1/products"), ("k2", "/v1/products")];
    for (key, path) in asked {
        let first = post(&service, path, key, &body).await?;
        let typed = "select answer from idempotency where key = $1";
        let typed: Value = service.db.query_one(typed, &[&key]).await?.get(0);
        assert!(
            typed.get("created").or(typed.get("refused")).is_some(),
            "the release before reads {typed}"
        );
        let stale = "update idempotency
            set status = 200, headers = '[]', body = '', created_at = now() where key = $1";
        let absent = "update idempotency
            set status = null, headers = null, body = null, sent_for = null where key = $1";
        for kept in [stale, absent] {
            service.db.execute(kept, &[&key]).await?;
            assert_same(&first, &post(&service, path, key, &body).await?);
        }
    }
    service.stop().await
}

#[tokio::test]
async fn the_same_request_may_be_written_otherwise() -> Result<()> {
    let service = Service::start().await?;
    let ask = |text: &'static str| {
        let request = service.request(Method::POST, "/v1/categories");
        let request = request.header("content-type", "application/json");
        send(request.header("idempotency-key", "k").body(text))
    };
    let first = ask(r#"{"name":"Lamps","parent_id":null}"#)
        .await?
        .expect(StatusCode::CREATED)?;
    assert_same(
        &first,
        &ask("{ \"parent_id\": null,\n \"name\": \"L\\u0061mps\" }").await?,
    );
    service.stop().await
}

#[tokio::test]
async fn a_key_stands_for_one_request() -> Result<()> {
    let service = Service::start().await?;
    let created = post(&service, "/v1/products", "k", &product("L-1")).await?;
    let created = created.expect(StatusCode::CREATED)?;
    let heads = service.heads().await?;
    let reused = "idempotency-key-reused";
    post(&service, "/v1/products", "k", &product("L-2"))
        .await?
        .expect_problem(reused)?;
    post(&service, "/v1/categories", "k", &json!({"name": "x"}))
        .await?
        .expect_problem(reused)?;
    let conditional = service
        .request(Method::POST, "/v1/products")
        .header("if-match", "*");
    let conditional = conditional
        .header("idempotency-key", "k")
        .json(&product("L-1"));
    send(conditional).await?.expect_problem(reused)?;
    assert_eq!(service.heads().await?, heads);
    assert_same(
        &created,
        &post(&service, "/v1/products", "k", &product("L-1")).await?,
    );
    service.stop().await
}

#[tokio::test]
async fn what_has_to_be_corrected_keeps_no_key() -> Result<()> {
    let service = Service::start().await?;
    let wrong = json!({"sku": "", "name": "x", "price": {"amount": 1, "currency": "EUR"}});
    post(&service, "/v1/products", "k", &wrong)
        .await?
        .expect_problem("validation")?;
    post(&service, "/v1/products", "k", &product("L-1"))
        .await?
        .expect(StatusCode::CREATED)?;
    let id = service
        .new_product("L-2", json!({"attributes": many(100)}))
        .await?;
    let path = format!("/v1/products/{id}");
    let patch = |attributes: Value| {
        let body = json!({"attributes": attributes});
        send(
            service
                .request(Method::PATCH, &path)
                .header("idempotency-key", "p")
                .json(&body),
        )
    };
    patch(json!({"one more": "x"}))
        .await?
        .expect_problem("validation")?;
    patch(json!({"k1": null, "one more": "x"}))
        .await?
        .expect(StatusCode::OK)?;
    for key in [String::new(), "k".repeat(256)] {
        let refused = post(&service, "/v1/products", &key, &product("L-3")).await?;
        refused.expect_problem("malformed")?;
    }
    let longest = "k".repeat(255);
    post(&service, "/v1/products", &longest, &product("L-3"))
        .await?
        .expect(StatusCode::CREATED)?;
    service.stop().await
}

fn many(count: usize) -> Value {
    (0..count)
        .map(|n| (format!("k{n}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn twins_that_race_are_one() -> Result<()> {
    let service = Service::start().await?;
    let id = service
        .new_product("L-1", json!({"inventory": 1_000}))
        .await?;
    let path = format!("/v1/products/{id}/stock-movements");
    for round in 0..10 {
        let key = format!("k{round}");
        let body = json!({"delta": -1, "reason": "sold"});
        let twins = (0..8).map(|_| post(&service, &path, &key, &body));
        let answers = try_join_all(twins).await?;
        let expected = json!({"on_hand": 999 - round, "reserved": 0, "available": 999 - round});
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected));
        }
        let first = answers
            .iter()
            .filter(|a| a.header("idempotency-replayed").is_none())
            .count();
        assert_eq!(first, 1);
    }
    service.stop().await
}

/// The given number of next claims find their key taken, and nothing under it when they read: the row was
/// removed between the two.
async fn remove_before_reading(service: &Service, claims: u32) -> Result<()> {
    let trigger = format!(
        "create sequence claims;
        create function lose_claim() returns trigger language plpgsql as $$ begin
            return case when nextval('claims') > {claims} then new end;
        end $$;
        create trigger lose_claim before insert on idempotency
            for each row execute function lose_claim();"
    );
    Ok(service.db.batch_execute(&trigger).await?)
}

#[tokio::test]
async fn a_key_whose_answer_is_removed_before_it_is_read_is_claimed_anew() -> Result<()> {
    let service = Service::start().await?;
    remove_before_reading(&service, 2).await?;
    let body = product("L-1");
    let created = post(&service, "/v1/products", "k", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(created.header("idempotency-replayed"), None);
    let expired = r#"tidemark_command_retries_total{fault="key_expired"}"#;
    assert_eq!(service.metric(expired).await?.to_bits(), 2_f64.to_bits());
    assert_same(&created, &post(&service, "/v1/products", "k", &body).await?);
    service.stop().await
}

#[tokio::test]
async fn a_key_that_expires_in_every_try_is_told_as_that() -> Result<()> {
    let service = Service::start().await?;
    let commands = commands(&service, service.database_url(), 1).await?;
    let ids = new_products(&service, 1).await?;
    remove_before_reading(&service, u32::MAX).await?;
    let key = IdempotencyKey {
        principal: "p".to_owned(),
        key: "k".to_owned(),
        fingerprint: vec![1],
    };
    let told = reprice(&commands, ids[0], Duration::from_millis(300), Some(key)).await;
    ensure!(matches!(told, Err(ExecuteError::KeyExpired)), "{told:?}");
    let problem = told.map_err(ApiError::from).unwrap_err();
    ensure!(problem.problem().is(ProblemType::DependencyUnavailable));
    ensure!(problem.problem().members.contains_key("retry_after_ms"));
    ensure!(
        committed(&service).await? == (0, 0),
        "nothing was committed"
    );
    service.stop().await
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() -> Result<()> {
    let service = Service::start().await?;
    post(&service, "/v1/products", "k", &product("L-1"))
        .await?
        .expect(StatusCode::CREATED)?;
    let age = "update idempotency set created_at = now() - interval '25 hours'";
    service.db.execute(age, &[]).await?;
    let created = post(&service, "/v1/products", "k", &product("L-2")).await?;
    let created = created.expect(StatusCode::CREATED)?;
    assert_same(
        &created,
        &post(&service, "/v1/products", "k", &product("L-2")).await?,
    );
    service.stop().await
}
