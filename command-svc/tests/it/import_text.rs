//! Imported lines whose texts or members are not what REST would take.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::import::{all, body, ensure_sound, import, lamp, lamps};
use crate::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sku_is_refused_and_never_changed_into_that_of_another_product() -> Result<()> {
    let service = Service::start().await?;
    import(&service, body(&[lamp("X B"), lamp("\u{c9}-1")])).await?;
    let lines = ["X\u{7}B", "X B\u{200b}", "\u{feff}X B"].map(lamp);
    let refused = import(&service, body(&lines)).await?;
    refused.ensure_totals(all(0, 0, 0, 3))?;
    let same = import(&service, body(&[lamp("X \u{a0}B "), lamp("E\u{301}-1")])).await?;
    ensure!(
        same.count("created") + same.count("refused") == 0,
        "{same:?}"
    );
    let products = "select count(*) from product";
    ensure!(service.db.query_one(products, &[]).await?.get::<_, i64>(0) == 2);
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_with_sku_name_and_price_alone_leaves_the_rest_as_it_is() -> Result<()> {
    let service = Service::start().await?;
    import(&service, body(&lamps(1))).await?;
    let price = json!({"amount": 5, "currency": "EUR"});
    let lines = [
        json!({"sku": "L-0", "name": "Light", "price": price}),
        json!({"sku": "L-0"}),
        json!({"sku": "L-1", "categories": ["Nowhere"]}),
    ];
    let answered = import(&service, body(&lines)).await?;
    let expected = ["updated", "unchanged", "refused"];
    ensure!(answered.statuses() == expected, "{answered:?}");
    let row = "select p.description, p.brand, p.attributes::text, count(pc.category_id),
            (select count(*) from category)
        from product p left join product_category pc on pc.product_id = p.id group by p.id";
    let row = service.db.query_one(row, &[]).await?;
    let kept: (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let kept = (kept.0.as_str(), kept.1.as_str(), kept.2.as_str());
    ensure!(
        kept == ("A lamp.", "Lumen", r#"{"colour": "red"}"#),
        "{kept:?}"
    );
    let categories: (i64, i64) = (row.get(3), row.get(4));
    ensure!(
        categories == (1, 3),
        "a refused line makes none: {categories:?}"
    );
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_with_a_control_character_is_imported_without_it() -> Result<()> {
    let service = Service::start().await?;
    let mut line = lamp("L-0");
    line["brand"] = json!("Acme\u{99}");
    import(&service, body(&[line]))
        .await?
        .ensure_totals(all(1, 0, 0, 0))?;
    let row = service
        .db
        .query_one("select brand from product", &[])
        .await?;
    ensure!(row.get::<_, &str>(0) == "Acme");
    ensure_sound(&service).await
}
