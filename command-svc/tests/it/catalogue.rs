//! What each route does where all goes well, and every refusal of the business.

use anyhow::Result;
use chassis::auth::Role;
use reqwest::{Method, StatusCode};
use schemas::lane::Lane;
use serde_json::json;
use uuid::Uuid;

use crate::service::{Service, product, send, token};

#[tokio::test]
async fn a_product_goes_through_its_life() -> Result<()> {
    let service = Service::start().await?;
    let lamps = service.new_category("Lamps", None).await?;
    let mut body = product("L-1");
    body["category_ids"] = json!([lamps]);
    body["attributes"] = json!({"colour": "red", "watts": "5"});
    body["inventory"] = json!(5);
    let created = service
        .post("/v1/products", body)
        .await?
        .expect(StatusCode::CREATED)?;
    let path = format!("/v1/products/{}", created.id());
    assert_eq!(created.header("location"), Some(path.as_str()));
    assert_eq!(created.etag(), "\"1\"");
    assert_eq!(created.body["category_ids"], json!([lamps]));
    assert_eq!(created.body["listed"], json!(true));

    let patch = json!({"brand": "Lumo", "category_ids": null, "attributes": {"watts": null}});
    let patched = service.patch(&path, patch).await?.expect(StatusCode::OK)?;
    assert_eq!(
        patched.etag(),
        "\"3\"",
        "details and categories are two events"
    );
    assert_eq!(patched.body["attributes"], json!({"colour": "red"}));
    assert_eq!(patched.body["category_ids"], json!([]));

    let price = json!({"amount": 999, "currency": "EUR"});
    let priced = service.put(&format!("{path}/price"), price.clone()).await?;
    assert_eq!(priced.expect(StatusCode::OK)?.body["price"], price);
    let listing = format!("{path}/listing");
    let unlisted = service
        .put(&listing, json!({"listed": false}))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(
        (unlisted.etag(), &unlisted.body["listed"]),
        ("\"5\"", &json!(false))
    );
    let listed = service
        .put(&listing, json!({"listed": true}))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(listed.etag(), "\"6\"");

    let movement = json!({"delta": -2, "reason": "damaged"});
    let moved = service
        .post(&format!("{path}/stock-movements"), movement)
        .await?;
    let moved = moved.expect(StatusCode::OK)?;
    assert_eq!(
        moved.body,
        json!({"on_hand": 3, "reserved": 0, "available": 3})
    );
    assert_eq!(moved.etag(), "\"2\"", "the stock has a stream of its own");
    service.stop().await
}

#[tokio::test]
async fn a_tree_of_categories_is_built_changed_and_cleared() -> Result<()> {
    let service = Service::start().await?;
    let home = service.new_category("Home", None).await?;
    let lamps = service.new_category("Lamps", Some(&home)).await?;
    let desk = service.new_category("Desk lamps", Some(&lamps)).await?;
    let path = format!("/v1/categories/{lamps}");

    let renamed = service
        .patch(&path, json!({"name": "Lights"}))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(renamed.body["path"][1]["name"], json!("Lights"));
    assert_eq!(
        renamed.tidemark()?.entries().len(),
        64,
        "a rename concerns every lane"
    );
    let moved = service
        .patch(&path, json!({"parent_id": null}))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(moved.body["path"].as_array().map(Vec::len), Some(1));
    assert_eq!(moved.etag(), "\"3\"");
    let both = json!({"name": "Lamps", "parent_id": home});
    let both = service.patch(&path, both).await?.expect(StatusCode::OK)?;
    assert_eq!(
        (both.etag(), &both.body["path"][0]["name"]),
        ("\"5\"", &json!("Home"))
    );

    service
        .delete(&path)
        .await?
        .expect_problem("category-in-use")?;
    service
        .delete(&format!("/v1/categories/{desk}"))
        .await?
        .expect(StatusCode::OK)?;
    let retired = service.delete(&path).await?.expect(StatusCode::OK)?;
    assert_eq!(retired.etag(), "\"6\"");
    let again = service.delete(&path).await?.expect(StatusCode::OK)?;
    assert_eq!(again.etag(), "\"6\"", "retired twice is retired once");
    service.new_category("Lamps", Some(&home)).await?;
    service.stop().await
}

#[tokio::test]
async fn every_refusal_of_a_category_has_its_name() -> Result<()> {
    let service = Service::start().await?;
    let mut above = None;
    let mut levels = Vec::new();
    for level in 1..=8 {
        let id = service
            .new_category(&format!("level {level}"), above.as_deref())
            .await?;
        levels.push(id.clone());
        above = Some(id);
    }
    let deepest = json!({"name": "level 9", "parent_id": levels[7]});
    service
        .post("/v1/categories", deepest)
        .await?
        .expect_problem("category-too-deep")?;
    let first = format!("/v1/categories/{}", levels[0]);
    for below in [&levels[0], &levels[7]] {
        let moved = service.patch(&first, json!({"parent_id": below})).await?;
        moved.expect_problem("category-cycle")?;
    }
    let other = service.new_category("other", None).await?;
    let moved = service.patch(&first, json!({"parent_id": other})).await?;
    moved.expect_problem("category-too-deep")?;

    service
        .post("/v1/categories", json!({"name": "other"}))
        .await?
        .expect_problem("category-name-taken")?;
    service
        .patch(&first, json!({"name": "other"}))
        .await?
        .expect_problem("category-name-taken")?;
    let second = format!("/v1/categories/{}", levels[1]);
    let taken = json!({"name": "other", "parent_id": null});
    service
        .patch(&second, taken)
        .await?
        .expect_problem("category-name-taken")?;

    let nobody = Uuid::from_u128(1);
    let orphan = json!({"name": "orphan", "parent_id": nobody});
    service
        .post("/v1/categories", orphan)
        .await?
        .expect_problem("unknown-category")?;
    service
        .delete(&format!("/v1/categories/{other}"))
        .await?
        .expect(StatusCode::OK)?;
    let below_retired = json!({"name": "orphan", "parent_id": other});
    service
        .post("/v1/categories", below_retired)
        .await?
        .expect_problem("category-retired")?;
    let retired = format!("/v1/categories/{other}");
    service
        .patch(&retired, json!({"name": "back"}))
        .await?
        .expect_problem("category-retired")?;
    service.stop().await
}

#[tokio::test]
async fn every_refusal_of_a_product_has_its_name() -> Result<()> {
    let service = Service::start().await?;
    let lamps = service.new_category("Lamps", None).await?;
    let old = service.new_category("Old", None).await?;
    service
        .delete(&format!("/v1/categories/{old}"))
        .await?
        .expect(StatusCode::OK)?;
    let with = json!({"category_ids": [lamps], "inventory": 3});
    let id = service.new_product("L-1", with).await?;
    service
        .post("/v1/products", product("L-1"))
        .await?
        .expect_problem("sku-taken")?;
    let path = format!("/v1/products/{id}");
    for (category, problem) in [
        (Uuid::from_u128(1).to_string(), "unknown-category"),
        (old, "category-retired"),
    ] {
        let wish = json!({"category_ids": [category]});
        let refused = service
            .patch(&path, wish.clone())
            .await?
            .expect_problem(problem)?;
        assert_eq!(refused.body["category_id"], wish["category_ids"][0]);
    }
    let in_use = service.delete(&format!("/v1/categories/{lamps}")).await?;
    let in_use = in_use.expect_problem("category-in-use")?;
    let shown = in_use.tidemark()?.seq(Lane::of(id.parse::<Uuid>()?));
    assert!(shown > 0, "the refusal shows that the product is there");

    let movements = format!("{path}/stock-movements");
    let too_many = service
        .post(&movements, json!({"delta": -4, "reason": "sold"}))
        .await?;
    let refused = too_many.expect_problem("insufficient-stock")?;
    assert_eq!(refused.body["available"], json!(3));
    let flood = json!({"delta": 1_000_000_000_000_i64, "reason": "found"});
    service
        .post(&movements, flood)
        .await?
        .expect_problem("stock-overflow")?;
    service.stop().await
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() -> Result<()> {
    let service = Service::start().await?;
    for id in [Uuid::from_u128(1).to_string(), "no-uuid".to_owned()] {
        let product = format!("/v1/products/{id}");
        let category = format!("/v1/categories/{id}");
        let price = json!({"amount": 1, "currency": "EUR"});
        let movement = json!({"delta": 1, "reason": "found"});
        let answers = [
            service.patch(&product, json!({"name": "x"})).await?,
            service.put(&format!("{product}/price"), price).await?,
            service
                .put(&format!("{product}/listing"), json!({"listed": true}))
                .await?,
            service
                .post(&format!("{product}/stock-movements"), movement)
                .await?,
            service.patch(&category, json!({"name": "x"})).await?,
            service.delete(&category).await?,
        ];
        for answer in answers {
            answer.expect_problem("not-found")?;
        }
    }
    service.stop().await
}

#[tokio::test]
async fn commands_are_for_admins() -> Result<()> {
    let service = Service::start().await?;
    let heads = service.heads().await?;
    let path = "/v1/products";
    let ask = || service.anonymous(Method::POST, path).json(&product("L-1"));
    let hour = std::time::Duration::from_secs(3_600);
    send(ask()).await?.expect_problem("unauthenticated")?;
    send(ask().bearer_auth("abc"))
        .await?
        .expect_problem("unauthenticated")?;
    let customer = token(Role::Customer, hour);
    send(ask().bearer_auth(customer))
        .await?
        .expect_problem("forbidden")?;
    let other_method = service.request(Method::PUT, path).json(&product("L-1"));
    send(other_method)
        .await?
        .expect_problem("method-not-allowed")?;
    assert_eq!(service.heads().await?, heads);
    service.stop().await
}

#[tokio::test]
async fn the_contract_is_served() -> Result<()> {
    let service = Service::start().await?;
    let document = send(service.anonymous(Method::GET, "/openapi.json")).await?;
    assert_eq!(
        document.body["openapi"]
            .as_str()
            .map(|version| &version[..3]),
        Some("3.1")
    );
    let paths = document.body["paths"].as_object().map(|paths| paths.len());
    assert_eq!(paths, Some(8));
    let metrics = service.metric("tidemark_commands_total").await?;
    assert!(metrics.abs() < f64::EPSILON, "no command was executed yet");
    service.new_category("Lamps", None).await?;
    assert!((service.metric("tidemark_commands_total").await? - 1.0).abs() < f64::EPSILON);
    service.stop().await
}
