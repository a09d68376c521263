//! `command-svc verify` sees every row that is not the fold of its events.

use anyhow::Result;
use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn rows_that_are_their_fold_have_no_difference() -> Result<()> {
    let service = Service::start().await?;
    let home = service.new_category("Home", None).await?;
    let lamps = service.new_category("Lamps", Some(&home)).await?;
    let with = json!({"category_ids": [lamps, home], "inventory": 5, "attributes": {"a": "b"}});
    let product = format!("/v1/products/{}", service.new_product("L-1", with).await?);
    service.new_product("L-2", json!({})).await?;
    service
        .patch(&product, json!({"name": "Light", "category_ids": [home]}))
        .await?;
    service
        .put(&format!("{product}/listing"), json!({"listed": false}))
        .await?;
    let movement = json!({"delta": -5, "reason": "lost"});
    service
        .post(&format!("{product}/stock-movements"), movement)
        .await?;
    let lamps = format!("/v1/categories/{lamps}");
    service
        .patch(&lamps, json!({"name": "Lights", "parent_id": null}))
        .await?;
    service.delete(&lamps).await?;
    let (told, succeeded) = service.verify().await?;
    assert!(succeeded && told.len() == 1, "{told:?}");
    for (rows, count) in [
        ("categories", 2),
        ("products", 2),
        ("stocks", 2),
        ("differences", 0),
    ] {
        assert_eq!(told[0][rows], json!(count), "{rows}");
    }
    service.stop().await
}

#[tokio::test]
async fn every_tampering_is_told() -> Result<()> {
    let service = Service::start().await?;
    let category = service.new_category("Lamps", None).await?;
    let product = service.new_product("L-1", json!({"inventory": 5})).await?;
    let other = service.new_product("L-2", json!({"inventory": 5})).await?;
    let tampering = format!(
        "update category set name = 'Lights';
         update product set price_amount = 1, listed = false where id = '{product}';
         delete from stock where product_id = '{other}'; delete from product where id = '{other}';
         update stock set version = 9;
         update lane set head = head + 1 where id = lane_of('{category}')"
    );
    service.db.batch_execute(&tampering).await?;
    let (told, succeeded) = service.verify().await?;
    assert!(!succeeded);
    let what = |of: String| {
        let found = told.iter().find(|difference| difference["of"] == json!(of));
        found
            .and_then(|difference| difference["what"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    assert!(what(format!("category-{category}")).ends_with("in name"));
    assert!(what(format!("product-{product}")).ends_with("in price, listed"));
    assert!(what(format!("stock-{product}")).ends_with("in version"));
    for stream in ["product", "stock"] {
        assert_eq!(what(format!("{stream}-{other}")), "has events but no row");
    }
    assert!(told.iter().any(|line| {
        line["of"]
            .as_str()
            .is_some_and(|of| of.starts_with("lane-"))
    }));
    assert_eq!(
        told.last().map(|totals| &totals["differences"]),
        Some(&json!(7)),
        "the category's key is that of its former name"
    );
    service.stop().await
}
