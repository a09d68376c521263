//! What stories sell: products and categories, made over REST.

use anyhow::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;

/// A word that stands in no other product.
pub fn rare_word() -> String {
    let letters = Uuid::now_v7().as_u128();
    let letter = |place: u32| char::from(b'a' + ((letters >> (place * 5)) % 26) as u8);
    (0..14).map(letter).collect()
}

/// A product of this name in these categories.
pub async fn create_product(client: &Client, name: &str, categories: &[Uuid]) -> Result<Uuid> {
    let body = json!({
        "sku": Uuid::now_v7().simple().to_string(),
        "name": name,
        "price": {"amount": 1999, "currency": "EUR"},
        "category_ids": categories,
        "inventory": 5,
    });
    client.post("/v1/products", &body).await?.expect(201)?.id()
}

/// A category below this one, or a root.
pub async fn create_category(client: &Client, name: &str, parent: Option<Uuid>) -> Result<Uuid> {
    let body = json!({"name": name, "parent_id": parent});
    client
        .post("/v1/categories", &body)
        .await?
        .expect(201)?
        .id()
}

/// The page of a product, which must be answered.
pub async fn page(client: &Client, id: Uuid) -> Result<Value> {
    Ok(client
        .get(&format!("/v1/products/{id}"))
        .await?
        .expect(200)?
        .body)
}

/// Names on the path of a product's first category.
pub fn path_of(product: &Value) -> Vec<String> {
    let steps = product["categories"][0]["path"]
        .as_array()
        .into_iter()
        .flatten();
    steps
        .filter_map(|step| step["name"].as_str().map(str::to_owned))
        .collect()
}
