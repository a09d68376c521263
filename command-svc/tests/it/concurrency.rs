//! Commands that meet: nobody sees a deadlock, no event is lost, every lane is dense.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::service::{Answer, Service, product};

/// Each lane's events are 1, 2, 3 … head, and each stream's versions 1, 2, 3 … too.
pub async fn ensure_dense(service: &Service) -> Result<()> {
    let lanes = "select l.id from lane l left join event e on e.lane = l.id
        group by l.id, l.head
        having count(e.seq) <> l.head or coalesce(max(e.seq), 0) <> l.head";
    let lanes = service.db.query(lanes, &[]).await?;
    ensure!(lanes.is_empty(), "{} lanes have gaps", lanes.len());
    let streams = "select stream_id from event group by stream_id, lane
        having count(*) <> max(stream_version) and bool_and(subject is not null)";
    let streams = service.db.query(streams, &[]).await?;
    ensure!(streams.is_empty(), "{} streams have gaps", streams.len());
    let (told, rows_are_folds) = service.verify().await?;
    ensure!(rows_are_folds, "{told:?}");
    Ok(())
}

async fn one_command(service: &Service, ids: &[String], number: usize) -> Result<Answer> {
    let path = format!("/v1/products/{}", ids[number % ids.len()]);
    match number % 4 {
        0 => {
            let price = json!({"amount": number, "currency": "EUR"});
            service.put(&format!("{path}/price"), price).await
        }
        1 => {
            let movement = json!({"delta": 1, "reason": "found"});
            service
                .post(&format!("{path}/stock-movements"), movement)
                .await
        }
        2 => {
            service
                .patch(&path, json!({"name": format!("Lamp {number}")}))
                .await
        }
        _ => {
            service
                .put(
                    &format!("{path}/listing"),
                    json!({"listed": number % 8 == 3}),
                )
                .await
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_commands_and_two_broadcasts_all_succeed() -> Result<()> {
    let service = Service::start().await?;
    let home = service.new_category("Home", None).await?;
    let lamps = service.new_category("Lamps", Some(&home)).await?;
    let with = json!({"category_ids": [lamps], "inventory": 5});
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(
            service
                .new_product(&format!("L-{number}"), with.clone())
                .await?,
        );
    }
    let commands = (0..100).map(|number| one_command(&service, &ids, number));
    let change = async |path: String, body: Value| service.patch(&path, body).await;
    let recategorize = ids.iter().map(|id| {
        change(
            format!("/v1/products/{id}"),
            json!({"category_ids": [lamps, home]}),
        )
    });
    let renames = [(&home, "House"), (&lamps, "Lights")]
        .map(|(id, name)| change(format!("/v1/categories/{id}"), json!({"name": name})));
    let (some, others, broadcasts) = futures::try_join!(
        try_join_all(commands),
        try_join_all(recategorize),
        try_join_all(renames),
    )?;
    for answer in some.into_iter().chain(others).chain(broadcasts) {
        answer.expect(StatusCode::OK)?;
    }
    ensure_dense(&service).await?;
    let on_hand: i64 = service
        .db
        .query_one("select sum(on_hand)::bigint from stock", &[])
        .await?
        .get(0);
    assert_eq!(on_hand, 5 * 5 + 25);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_want_the_same_sku_one_gets_it() -> Result<()> {
    let service = Service::start().await?;
    let wishes = (0..20).map(|_| service.post("/v1/products", product("L-1")));
    let answers = try_join_all(wishes).await?;
    let created = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .count();
    let refused = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CONFLICT)
        .count();
    assert_eq!((created, refused), (1, 19));
    ensure_dense(&service).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_moves_never_make_a_cycle() -> Result<()> {
    let service = Service::start().await?;
    for round in 0..5 {
        let a = service.new_category(&format!("a{round}"), None).await?;
        let b = service.new_category(&format!("b{round}"), None).await?;
        let move_below = async |category: &str, parent: &str| {
            service
                .patch(
                    &format!("/v1/categories/{category}"),
                    json!({"parent_id": parent}),
                )
                .await
        };
        let (first, second) = futures::try_join!(move_below(&a, &b), move_below(&b, &a))?;
        let mut statuses = [first.status, second.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
        let refused = if first.status == StatusCode::OK {
            second
        } else {
            first
        };
        refused.expect_problem("category-cycle")?;
    }
    ensure_dense(&service).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_are_never_sold_twice() -> Result<()> {
    let service = Service::start().await?;
    let id = service.new_product("L-1", json!({"inventory": 10})).await?;
    let path = format!("/v1/products/{id}/stock-movements");
    let sales = (0..30).map(|_| service.post(&path, json!({"delta": -1, "reason": "sold"})));
    let answers = try_join_all(sales).await?;
    let sold = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .count();
    assert_eq!(sold, 10);
    for refused in answers
        .into_iter()
        .filter(|answer| answer.status != StatusCode::OK)
    {
        refused.expect_problem("insufficient-stock")?;
    }
    service.stop().await
}
