//! Changes that arrive together are committed together, and each is answered as if it were alone.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use chassis::clock::Deadline;
use chassis::tidemark::EpochHandle;
use command_svc::domain::product::Product;
use command_svc::store::{Database, Persisted};
use futures::future::{FutureExt, try_join_all};
use reqwest::{Method, StatusCode};
use schemas::id::ProductId;
use schemas::lane::Lane;
use serde_json::json;

use crate::concurrency::ensure_dense;
use crate::service::{Answer, Service, send};

/// More than it takes, and less than a test.
const LONG: Duration = Duration::from_secs(30);

/// Sends all of them while nothing can be appended, so that they gather.
async fn at_once<F: Future<Output = Result<Answer>>>(
    service: &Service,
    requests: impl IntoIterator<Item = F>,
) -> Result<Vec<Answer>> {
    let other = service.hold("lane").await?;
    let release = async {
        service.blocked_backend().await?;
        Ok(other.batch_execute("commit").await?)
    };
    let (answers, ()) = tokio::try_join!(try_join_all(requests), release)?;
    Ok(answers)
}

async fn reprice(service: &Service, id: &str, amount: usize) -> Result<Answer> {
    let price = json!({"amount": amount, "currency": "EUR"});
    service
        .put(&format!("/v1/products/{id}/price"), price)
        .await
}

async fn new_products(service: &Service, count: usize) -> Result<Vec<String>> {
    let skus = (0..count).map(|number| format!("L-{number}"));
    try_join_all(skus.map(async |sku| service.new_product(&sku, json!({})).await)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_many_products_share_transactions_and_keep_their_own_events() -> Result<()> {
    let service = Service::start().await?;
    let ids = new_products(&service, 40).await?;
    let changes = ids.iter().map(|id| reprice(&service, id, 42));
    let answers = at_once(&service, changes).await?;
    for (id, answer) in ids.iter().zip(&answers) {
        let answer = answer.clone().expect(StatusCode::OK)?;
        ensure!(answer.etag() == "\"2\"" && answer.body["price"]["amount"] == 42);
        let event = "select lane, seq, meta->>'request_id' from event
            where stream_id = 'product-' || $1 and stream_version = 2";
        let event = service.db.query_one(event, &[id]).await?;
        ensure!(
            event.get::<_, Option<&str>>(2) == answer.header("x-request-id"),
            "another request's event: {event:?}"
        );
        let shown = answer.tidemark()?;
        let lane = Lane::try_from(event.get::<_, i16>(0))?;
        ensure!(shown.seq(lane) == u64::try_from(event.get::<_, i64>(1))?);
    }
    let transactions = "select count(distinct xmin::text) from event where type = 'price-changed'";
    let transactions: i64 = service.db.query_one(transactions, &[]).await?.get(0);
    ensure!(transactions < 40, "each was committed alone");
    ensure_dense(&service).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_one_product_in_one_group_follow_each_other() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let path = format!("/v1/products/{id}");
    let changes = (1..=30).map(async |number| match number % 2 {
        0 => reprice(&service, &id, number).await,
        _ => {
            service
                .patch(&path, json!({"name": format!("Lamp {number}")}))
                .await
        }
    });
    let answers = at_once(&service, changes).await?;
    let etags: BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.etag().to_owned())
        .collect();
    let versions: BTreeSet<String> = (2..=31).map(|version| format!("\"{version}\"")).collect();
    ensure!(etags == versions, "{etags:?}");
    let last = answers.iter().find(|answer| answer.etag() == "\"31\"");
    let row = "select name, price_amount from product";
    let row = service.db.query_one(row, &[]).await?;
    let shown = &last.expect("all versions are there").body;
    ensure!(shown["name"] == row.get::<_, &str>(0));
    ensure!(shown["price"]["amount"] == row.get::<_, i64>(1));
    ensure_dense(&service).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_ride_along_is_answered_as_if_it_were_alone() -> Result<()> {
    let service = Service::start().await?;
    let ids = new_products(&service, 3).await?;
    let heads = service.heads().await?;
    let stale = async {
        let path = format!("/v1/products/{}/price", ids[0]);
        let request = service
            .request(Method::PUT, &path)
            .header("if-match", "\"7\"");
        send(request.json(&json!({"amount": 1, "currency": "EUR"}))).await
    };
    let nowhere = reprice(&service, "018f2f6a-0000-7000-8000-000000000000", 1);
    let asked = [
        stale.boxed_local(),
        nowhere.boxed_local(),
        reprice(&service, &ids[1], 1999).boxed_local(),
        reprice(&service, &ids[2], 5).boxed_local(),
    ];
    let answers = at_once(&service, asked).await?;
    let [stale, nowhere, same, changed] = <[Answer; 4]>::try_from(answers).expect("four answers");
    ensure!(stale.expect_problem("version-mismatch")?.body["current_version"] == 1);
    ensure!(nowhere.status == StatusCode::NOT_FOUND);
    ensure!(same.expect(StatusCode::OK)?.etag() == "\"1\"");
    ensure!(changed.expect(StatusCode::OK)?.etag() == "\"2\"");
    ensure!(service.heads().await?.total() == heads.total() + 1);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_waits_for_no_row() -> Result<()> {
    let service = Service::start().await?;
    let ids = new_products(&service, 2).await?;
    let other = service
        .hold(&format!("product where id = '{}'", ids[0]))
        .await?;
    let rest = async {
        service.blocked_backend().await?;
        reprice(&service, &ids[1], 5)
            .await?
            .expect(StatusCode::OK)?;
        Ok(other.batch_execute("commit").await?)
    };
    let (held, ()) = tokio::try_join!(reprice(&service, &ids[0], 5), rest)?;
    held.expect(StatusCode::OK)?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_holds_is_left_out_of_a_group() -> Result<()> {
    let service = Service::start().await?;
    let ids = new_products(&service, 2).await?;
    let products = [ProductId(ids[0].parse()?), ProductId(ids[1].parse()?)];
    let other = service
        .hold(&format!("product where id = '{}'", ids[0]))
        .await?;
    let database = Database::new(service.pool()?, EpochHandle::default());
    let tx = database.borrow(Deadline::within(LONG)).await?;
    tx.begin().await?;
    let free = Product::lock_free(&tx, &products).await?;
    ensure!(
        free.len() == 1 && free[0].value.id == products[1],
        "{free:?}"
    );
    tx.rollback().await?;
    other.batch_execute("commit").await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_lane_is_held_for_too_long_does_not_fail_its_members() -> Result<()> {
    let service = Service::start().await?;
    let ids = new_products(&service, 8).await?;
    let held = Lane::of(ProductId(ids[0].parse()?)).number();
    let other = service.hold(&format!("lane where id = {held}")).await?;
    let release = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while service.metric("tidemark_command_retries_total").await? < 1.0 {
            looks.tick().await;
        }
        Ok(other.batch_execute("commit").await?)
    };
    let release = tokio::time::timeout(LONG, release).map(|released| released?);
    let changes = try_join_all(ids.iter().map(|id| reprice(&service, id, 5)));
    let (answers, ()) = tokio::try_join!(changes, release)?;
    for answer in answers {
        answer.expect(StatusCode::OK)?;
    }
    ensure_dense(&service).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_in_commit_leaves_the_outcome_of_its_group_unknown_and_no_other()
-> Result<()> {
    let service = Service::start().await?;
    let ids = new_products(&service, 20).await?;
    let other = service.hold("lane").await?;
    let sever = async {
        let victim = service.blocked_backend().await?;
        service
            .db
            .execute("select pg_terminate_backend($1, 5000)", &[&victim])
            .await?;
        Ok(other.batch_execute("commit").await?)
    };
    let changes = try_join_all(ids.iter().map(|id| reprice(&service, id, 42)));
    let (answers, ()) = tokio::try_join!(changes, sever)?;
    let mut unknown = 0;
    for (id, answer) in ids.iter().zip(answers) {
        let row = "select price_amount from product where id::text = $1";
        let amount: i64 = service.db.query_one(row, &[id]).await?.get(0);
        if answer.status == StatusCode::OK {
            ensure!(amount == 42, "acknowledged and lost");
        } else {
            answer.expect_problem("outcome-unknown")?;
            ensure!(amount == 1999, "it was rolled back");
            unknown += 1;
        }
    }
    ensure!((1..20).contains(&unknown), "{unknown} are unknown");
    ensure_dense(&service).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_lets_a_group_end() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({})).await?;
    let other = service.hold("lane").await?;
    let stop = async {
        service.blocked_backend().await?;
        service.tell_to_stop().await?;
        Ok(other.batch_execute("commit").await?)
    };
    let (answer, ()) = tokio::try_join!(reprice(&service, &id, 5), stop)?;
    answer.expect(StatusCode::OK)?;
    ensure!(service.ended().await?.success());
    Ok(())
}
