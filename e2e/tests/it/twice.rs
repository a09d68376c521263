//! Delivery is at least once; what is delivered twice counts once.

use anyhow::{Result, ensure};
use e2e::log;
use e2e::shop::{create_category, create_product, page, rare_word};
use e2e::world::{Plan, World};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn events_delivered_again_after_documents_were_cached_do_not_count_twice() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let word = rare_word();
    let category = create_category(&staff, &format!("Kettles {word}"), None).await?;
    let mut ids = Vec::new();
    for number in 0..20 {
        let id = create_product(&staff, &format!("Kettle {word} {number}"), &[category]).await?;
        let moved = json!({"delta": 3, "reason": "delivery"});
        staff
            .post(&format!("/v1/products/{id}/stock-movements"), &moved)
            .await?
            .expect(200)?;
        ids.push(id);
    }
    let mut before = Vec::new();
    for id in &ids {
        before.push(page(&staff, *id).await?);
    }

    let records = log::records(&world).await?;
    log::publish_again(&world, &records).await?;
    // What comes behind the doubles in every lane shows that they were read.
    for id in &ids {
        let price = json!({"amount": 777, "currency": "EUR"});
        staff
            .put(&format!("/v1/products/{id}/price"), &price)
            .await?
            .expect(200)?;
    }
    for (id, before) in ids.iter().zip(&before) {
        let after = page(&staff, *id).await?;
        ensure!(
            after["available"] == before["available"],
            "{before} became {after}"
        );
        ensure!(
            after["categories"] == before["categories"],
            "{before} became {after}"
        );
        ensure!(after["price"]["amount"] == 777, "{after}");
    }
    let tree = staff
        .get(&format!("/v1/categories/{category}"))
        .await?
        .expect(200)?;
    ensure!(tree.body["products"] == 20, "{tree:?}");
    world.ensure_agreement().await?;
    world.close().await
}
