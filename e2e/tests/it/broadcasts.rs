//! Facts that concern every lane, while everything else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use e2e::client::{Answer, Client};
use e2e::log;
use e2e::shop::{create_category, create_product, page, path_of};
use e2e::world::{Plan, READY_WITHIN, World};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_category_renamed_and_moved_50_times_ends_the_same_in_all_its_products() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let roots = [
        create_category(&staff, "Kitchen", None).await?,
        create_category(&staff, "Garden", None).await?,
    ];
    let category = create_category(&staff, "Kettles 0", Some(roots[0])).await?;

    let done = Arc::new(AtomicBool::new(false));
    let mut editors = JoinSet::new();
    for number in 0..8 {
        let (editor, done) = (world.staff()?, Arc::clone(&done));
        editors.spawn(async move { create_and_edit(&editor, category, number, &done).await });
    }
    for round in 1..=50 {
        let change = json!({"name": format!("Kettles {round}"), "parent_id": roots[round % 2]});
        staff
            .patch(&format!("/v1/categories/{category}"), &change)
            .await?
            .expect(200)?;
    }
    done.store(true, Ordering::Relaxed);

    let mut products = 0;
    while let Some(ids) = editors.join_next().await {
        let (session, ids) = ids??;
        staff.adopt(session);
        for id in ids {
            let path = path_of(&page(&staff, id).await?);
            ensure!(path == ["Kitchen", "Kettles 50"], "{id} stands in {path:?}");
            products += 1;
        }
    }
    ensure!(products >= 8, "the editors did nothing");
    let found = staff
        .get(&format!("/v1/products?category={}", roots[0]))
        .await?
        .expect(200)?;
    ensure!(
        found.body["total"]["value"] == products,
        "{products} products, {found:?}"
    );
    log::ensure_dense(&world.database().await?).await?;
    world.ensure_agreement().await?;
    world.close().await
}

type Edited = (Option<reqwest::header::HeaderValue>, Vec<Uuid>);

async fn create_and_edit(
    editor: &Client,
    category: Uuid,
    number: usize,
    done: &AtomicBool,
) -> Result<Edited> {
    let mut ids = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let name = format!("Kettle {number}-{}", ids.len());
        ids.push(create_product(editor, &name, &[category]).await?);
        let at = ids[ids.len() / 2];
        let change = json!({"description": format!("edited {}", ids.len())});
        editor
            .patch(&format!("/v1/products/{at}"), &change)
            .await?
            .expect(200)?;
    }
    Ok((editor.tidemark(), ids))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_moves_that_together_would_make_a_cycle_one_is_refused() -> Result<()> {
    let world = World::open(Plan {
        command_svcs: 2,
        ..Plan::default()
    })
    .await?;
    let (one, other) = (world.staff()?, world.staff()?);
    for round in 0..10 {
        let a = create_category(&one, &format!("A{round}"), None).await?;
        let b = create_category(&one, &format!("B{round}"), None).await?;
        let (below_b, below_a) = (json!({"parent_id": b}), json!({"parent_id": a}));
        let (path_a, path_b) = (format!("/v1/categories/{a}"), format!("/v1/categories/{b}"));
        let (first, second) =
            tokio::try_join!(one.patch(&path_a, &below_b), other.patch(&path_b, &below_a))?;
        let mut statuses = [first.status, second.status];
        statuses.sort();
        ensure!(
            statuses == [StatusCode::OK, StatusCode::CONFLICT],
            "{first:?} {second:?}"
        );
        let refused = if first.status == StatusCode::OK {
            second
        } else {
            first
        };
        ensure!(refused.problem() == Some("category-cycle"), "{refused:?}");
    }
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_commands_at_once_on_few_products_with_two_broadcasts_never_deadlock()
-> Result<()> {
    let world = World::open(Plan {
        command_svcs: 2,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    let categories = [
        create_category(&staff, "Pots", None).await?,
        create_category(&staff, "Pans", None).await?,
    ];
    let mut products = Vec::new();
    for number in 0..4 {
        products.push(create_product(&staff, &format!("Pot {number}"), &categories).await?);
    }
    let mut commands = JoinSet::new();
    for number in 0..100_usize {
        let (client, product) = (world.staff()?, products[number % products.len()]);
        let category = categories[number % 2];
        commands.spawn(async move {
            command(&client, number, product, category)
                .await?
                .expect(200)?;
            anyhow::Ok(client.tidemark())
        });
    }
    while let Some(session) = commands.join_next().await {
        staff.adopt(session??);
        staff.get("/v1/tidemark").await?.expect(200)?;
    }
    for view in ["/v1/products", "/v1/categories"] {
        staff.get_within(view, READY_WITHIN).await?.expect(200)?;
    }
    log::ensure_dense(&world.database().await?).await?;
    world.ensure_agreement().await?;
    world.close().await
}

/// One of a hundred: two rename a category, the others change a product.
async fn command(client: &Client, number: usize, product: Uuid, category: Uuid) -> Result<Answer> {
    let path = format!("/v1/products/{product}");
    match number % 50 {
        0 => {
            let name = json!({"name": format!("Renamed {number}")});
            client
                .patch(&format!("/v1/categories/{category}"), &name)
                .await
        }
        n if n % 3 == 0 => {
            let price = json!({"amount": number, "currency": "EUR"});
            client.put(&format!("{path}/price"), &price).await
        }
        n if n % 3 == 1 => {
            let moved = json!({"delta": 1, "reason": "delivery"});
            client
                .post(&format!("{path}/stock-movements"), &moved)
                .await
        }
        _ => {
            let details = json!({"description": format!("{number}"), "category_ids": [category]});
            client.patch(&path, &details).await
        }
    }
}
