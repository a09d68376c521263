//! Skus and names of categories that count as the same, in whatever form they come; and rows that
//! were there before their keys.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::import::{all, body, ensure_sound, import, lamp};
use crate::service::{Answer, Service, product};

fn priced(sku: &str, amount: u64) -> Value {
    json!({"sku": sku, "name": "Lamp", "price": {"amount": amount, "currency": "EUR"}})
}

fn named(name: &str, parent: &str) -> Value {
    json!({"name": name, "parent_id": parent})
}

async fn change(service: &Service, category: &str, wish: Value) -> Result<Answer> {
    service
        .patch(&format!("/v1/categories/{category}"), wish)
        .await
}

/// Every product's sku, with its price, older ones first.
async fn skus(service: &Service) -> Result<Vec<(String, i64)>> {
    let skus = "select sku, price_amount from product order by created_at, id";
    let rows = service.db.query(skus, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skus_that_differ_by_case_or_composition_are_one_product() -> Result<()> {
    let service = Service::start().await?;
    let first = service.new_product("Caf\u{e9}-1", json!({})).await?;
    for other in ["CAFE\u{301}-1", "caf\u{e9}-1"] {
        let refused = service.post("/v1/products", product(other)).await?;
        let refused = refused.expect_problem("sku-taken")?;
        ensure!(refused.tidemark()?.entries().next().is_some());
    }
    let lines = [
        priced("cafe\u{301}-1", 1),
        priced("STRASSE", 2),
        priced("CAF\u{c9}-1", 3),
        priced("stra\u{df}e", 4),
    ];
    let answered = import(&service, body(&lines)).await?;
    answered.ensure_totals(all(1, 3, 0, 0))?;
    ensure!(answered.lines[0]["id"] == json!(first), "{answered:?}");
    let kept = [("Caf\u{e9}-1".to_owned(), 3), ("STRASSE".to_owned(), 4)];
    ensure!(skus(&service).await? == kept, "skus stay as first written");
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_of_one_sku_in_many_forms_at_once_make_one_product() -> Result<()> {
    let service = Service::start().await?;
    let forms = ["Caf\u{e9}", "CAFE\u{301}", "cafe\u{301}", "CAF\u{c9}"];
    let imports = forms.map(|sku| import(&service, body(&[priced(sku, 5)])));
    let answered = futures::future::try_join_all(imports).await?;
    let created: u64 = answered.iter().map(|answer| answer.count("created")).sum();
    ensure!(created == 1, "{answered:?}");
    ensure_sound(&service).await
}

/// As if they had been written by a release without keys: the second is `aB`, and younger than `Ab`.
async fn two_old_products(service: &Service) -> Result<(String, String)> {
    let older = service.new_product("Ab", json!({})).await?;
    let younger = service.new_product("Q", json!({})).await?;
    let before_keys = "update event set data = jsonb_set(data, '{sku}', '\"aB\"')
            where type = 'product-created' and data ->> 'sku' = 'Q';
        update product set sku = 'aB' where sku = 'Q';
        update product set sku_key = null";
    service.db.batch_execute(before_keys).await?;
    Ok((older, younger))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_old_products_with_one_key_the_older_has_it_and_the_other_is_told() -> Result<()> {
    let mut service = Service::start().await?;
    let (older, younger) = two_old_products(&service).await?;
    service.new_product("c", json!({})).await?;
    service.kill().await?;
    service.restart().await?;
    let keys = "select id::text, sku_key from product order by created_at, id";
    let rows = service.db.query(keys, &[]).await?;
    let keys: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let given_way = format!("ab\n{younger}");
    ensure!(keys[0] == (older.clone(), "ab".to_owned()), "{keys:?}");
    ensure!(keys[1] == (younger.clone(), given_way), "{keys:?}");
    let updated = import(&service, body(&[priced("AB", 7), priced("aB", 8)])).await?;
    let ids = [&updated.lines[0]["id"], &updated.lines[1]["id"]];
    ensure!(ids == [&json!(older), &json!(older)], "{updated:?}");
    let (told, succeeded) = service.verify().await?;
    let what = told[0]["what"].as_str().unwrap_or_default();
    ensure!(!succeeded && told.len() == 2, "{told:?}");
    ensure!(told[0]["of"] == format!("product-{younger}"), "{told:?}");
    ensure!(
        what.contains("an older one, which has its key 'ab'"),
        "{what}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_of_a_release_without_keys_is_found_by_its_sku() -> Result<()> {
    let service = Service::start().await?;
    let (older, _) = two_old_products(&service).await?;
    let refused = service.post("/v1/products", product("Ab")).await?;
    refused.expect_problem("sku-taken")?;
    let answered = import(&service, body(&[priced("Ab", 7)])).await?;
    answered.ensure_totals(all(0, 1, 0, 0))?;
    ensure!(answered.lines[0]["id"] == json!(older), "{answered:?}");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_categories_that_differ_by_a_joiner_are_one() -> Result<()> {
    let service = Service::start().await?;
    let (plain, joined) = ("Caf\u{e9}", "Caf\u{200d}e\u{301}\u{fe0f}");
    let home = service.new_category("Home", None).await?;
    let cafe = service.new_category(joined, Some(&home)).await?;
    let refused = service.post("/v1/categories", named(plain, &home)).await?;
    refused.expect_problem("category-name-taken")?;
    let tea = service.new_category("Tea", Some(&home)).await?;
    let renamed = change(&service, &tea, json!({"name": plain})).await?;
    renamed.expect_problem("category-name-taken")?;
    let elsewhere = service.new_category(plain, None).await?;
    let moved = change(&service, &elsewhere, json!({"parent_id": home})).await?;
    moved.expect_problem("category-name-taken")?;
    let mut line = lamp("L-1");
    let paths = [plain, joined].map(|name| format!("Home > {name} > Cups"));
    line["categories"] = json!(paths);
    import(&service, body(&[line]))
        .await?
        .ensure_totals(all(1, 0, 0, 0))?;
    let below = "select count(*) from category where name = 'Cups' and parent_id::text = $1";
    let below: i64 = service.db.query_one(below, &[&cafe]).await?.get(0);
    ensure!(below == 1, "the path leads to the category that is there");
    let own = change(&service, &cafe, json!({"name": plain})).await?;
    own.expect(StatusCode::OK)?;
    ensure_sound(&service).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_old_categories_with_one_key_the_older_has_it_until_the_other_moves() -> Result<()> {
    let mut service = Service::start().await?;
    let older = service.new_category("A\u{200d}", None).await?;
    let younger = service.new_category("Q", None).await?;
    let home = service.new_category("Home", None).await?;
    let before_keys = "update event set data = replace(data::text, '\"Q\"', '\"A\"')::jsonb;
        update category set name = 'A' where name = 'Q';
        update category set name_key = null";
    service.db.batch_execute(before_keys).await?;
    service.kill().await?;
    service.restart().await?;
    let (told, _) = service.verify().await?;
    ensure!(told[0]["of"] == format!("category-{younger}"), "{told:?}");
    let mut line = lamp("L-1");
    line["categories"] = json!(["A > X"]);
    import(&service, body(&[line])).await?;
    let parent = "select parent_id::text from category where name = 'X'";
    let parent: String = service.db.query_one(parent, &[]).await?.get(0);
    ensure!(parent == older, "paths lead to the older one");
    let moved = change(&service, &younger, json!({"parent_id": home})).await?;
    moved.expect(StatusCode::OK)?;
    let refused = service.post("/v1/categories", named("A", &home)).await?;
    refused.expect_problem("category-name-taken")?;
    ensure_sound(&service).await
}
