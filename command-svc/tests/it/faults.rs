//! Locks that are held, connections that break, another history, a signal: what clients see.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::service::{Answer, Service, product, send};

/// More than it takes, and less than a test.
const LONG: Duration = Duration::from_secs(30);

async fn reprice(service: &Service, id: &str, key: Option<&str>) -> Result<Answer> {
    let path = format!("/v1/products/{id}/price");
    let request = service.request(Method::PUT, &path);
    let request = key.into_iter().fold(request, |request, key| {
        request.header("idempotency-key", key)
    });
    send(request.json(&json!({"amount": 5, "currency": "EUR"}))).await
}

#[tokio::test]
async fn a_lock_that_is_held_for_a_while_is_waited_for() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let other = service.hold("product").await?;
    let release = async {
        service.blocked_backend().await?;
        Ok(other.batch_execute("commit").await?)
    };
    let (answer, ()) = tokio::try_join!(reprice(&service, &id, None), release)?;
    answer.expect(StatusCode::OK)?;
    service.stop().await
}

#[tokio::test]
async fn a_lock_that_is_held_for_too_long_is_unavailable_in_time() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let other = service.hold("product").await?;
    let started = Instant::now();
    let asked = (0..12).map(|_| reprice(&service, &id, None));
    for answer in futures::future::try_join_all(asked).await? {
        let refused = answer.expect_problem("dependency-unavailable")?;
        assert!(refused.header("retry-after").is_some());
    }
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    other.batch_execute("commit").await?;
    reprice(&service, &id, None).await?.expect(StatusCode::OK)?;
    service.stop().await
}

#[tokio::test]
async fn a_deadlock_reaches_no_client() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let other = service.hold("lane").await?;
    let cross = async {
        service.blocked_backend().await?;
        // Either of the two is the victim.
        let crossed = other.batch_execute("select from product for update").await;
        let end = if crossed.is_ok() {
            "commit"
        } else {
            "rollback"
        };
        Ok(other.batch_execute(end).await?)
    };
    let (answer, ()) = tokio::try_join!(reprice(&service, &id, None), cross)?;
    answer.expect(StatusCode::OK)?;
    service.stop().await
}

#[tokio::test]
async fn a_connection_lost_in_commit_leaves_the_outcome_unknown_without_a_key() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    for key in [None, Some("k")] {
        let other = service.hold("lane").await?;
        let sever = async {
            let pid = service.blocked_backend().await?;
            service
                .db
                .execute("select pg_terminate_backend($1)", &[&pid])
                .await?;
            Ok(other.batch_execute("commit").await?)
        };
        let (answer, ()) = tokio::try_join!(reprice(&service, &id, key), sever)?;
        match key {
            None => {
                let unknown = answer.expect_problem("outcome-unknown")?;
                assert_eq!(unknown.status, StatusCode::SERVICE_UNAVAILABLE);
                assert!(unknown.header("retry-after").is_some());
            }
            Some(_) => assert_eq!(answer.expect(StatusCode::OK)?.etag(), "\"2\""),
        }
    }
    let replayed = reprice(&service, &id, Some("k"))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    service.stop().await
}

#[tokio::test]
async fn a_connection_lost_before_commit_is_replaced() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let other = service.hold("product").await?;
    let sever = async {
        let pid = service.blocked_backend().await?;
        service
            .db
            .execute("select pg_terminate_backend($1)", &[&pid])
            .await?;
        Ok(other.batch_execute("commit").await?)
    };
    let (answer, ()) = tokio::try_join!(reprice(&service, &id, None), sever)?;
    answer.expect(StatusCode::OK)?;
    service.stop().await
}

#[tokio::test]
async fn another_history_ends_the_process() -> Result<()> {
    let service = Service::start().await?;
    let heads = service.heads().await?;
    service
        .db
        .execute("update epoch set epoch = (epoch + 1) % 4294967296", &[])
        .await?;
    // The process may be gone before it answers.
    if let Ok(answer) = service.post("/v1/products", product("L-1")).await {
        answer.expect_problem("dependency-unavailable")?;
    }
    assert_eq!(service.heads().await?, heads);
    assert!(!service.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_signal_lets_what_is_under_way_end() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let other = service.hold("product").await?;
    let stop = async {
        service.blocked_backend().await?;
        service.tell_to_stop().await?;
        Ok(other.batch_execute("commit").await?)
    };
    let (answer, ()) = tokio::try_join!(reprice(&service, &id, None), stop)?;
    answer.expect(StatusCode::OK)?;
    assert!(service.ended().await?.success());
    Ok(())
}

/// Until the relay has published, and remembered so, all that the lanes hold.
async fn await_published(service: &Service) -> Result<()> {
    let published = "select not exists (
        select from lane l join relay r on r.lane = l.id where r.seq < l.head)";
    let remembered = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while !service
            .db
            .query_one(published, &[])
            .await?
            .get::<_, bool>(0)
        {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LONG, remembered)
        .await
        .context("what was written was not published")?
}

#[tokio::test]
async fn what_is_answered_last_is_published_before_the_process_ends() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    // The relay is at work before the signal comes; what is tested is that it ends last.
    await_published(&service).await?;
    let other = service.hold("product").await?;
    let stop = async {
        service.blocked_backend().await?;
        service.tell_to_stop().await?;
        // Whatever ends with the signal alone has ended by the time it takes no more requests.
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while service
            .anonymous(Method::GET, "/livez")
            .send()
            .await
            .is_ok()
        {
            looks.tick().await;
        }
        Ok(other.batch_execute("commit").await?)
    };
    let (answer, ()) = tokio::try_join!(reprice(&service, &id, None), stop)?;
    answer.expect(StatusCode::OK)?;
    await_published(&service).await?;
    assert!(service.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() -> Result<()> {
    let mut service = Service::start().await?;
    let create = async |service: &Service, number: usize| {
        let request = service.request(Method::POST, "/v1/products");
        let request = request.header("idempotency-key", format!("k{number}"));
        send(request.json(&product(&format!("L-{number}")))).await
    };
    let asked = futures::future::join_all((0..200).map(|number| create(&service, number)));
    let half = async {
        let count = "select count(*) from product";
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while service.db.query_one(count, &[]).await?.get::<_, i64>(0) < 100 {
            looks.tick().await;
        }
        service.kill().await
    };
    let half = tokio::time::timeout(LONG, half);
    let (answers, killed) = tokio::join!(asked, half);
    killed.context("too few products came about")??;
    service.restart().await?;
    for (number, before) in answers.into_iter().enumerate() {
        let after = create(&service, number)
            .await?
            .expect(StatusCode::CREATED)?;
        if let Ok(before) = before {
            assert_eq!(after.body, before.expect(StatusCode::CREATED)?.body);
            assert_eq!(after.header("idempotency-replayed"), Some("true"));
        }
    }
    let (told, rows_are_folds) = service.verify().await?;
    assert!(rows_are_folds, "{told:?}");
    service.stop().await
}

#[tokio::test]
async fn keys_are_removed_after_a_day() -> Result<()> {
    let mut service = Service::start().await?;
    let keys = "insert into idempotency (principal, key, fingerprint, answer, created_at)
        select 'p', n::text, '', '{}', now() - interval '23 hours' * (1 + n % 2)
        from generate_series(1, 2000) n";
    service.db.execute(keys, &[]).await?;
    service.kill().await?;
    service.restart().await?;
    let left = async {
        let count = "select count(*) from idempotency";
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while service.db.query_one(count, &[]).await?.get::<_, i64>(0) > 1_000 {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LONG, left)
        .await
        .context("old keys are still there")??;
    service.stop().await
}

#[tokio::test]
async fn a_schema_that_cannot_be_migrated_ends_the_process() -> Result<()> {
    let ended = Service::ends_with("create table lane ()").await?;
    assert!(!ended.success(), "{ended}");
    Ok(())
}
