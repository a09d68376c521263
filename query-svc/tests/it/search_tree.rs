//! Suggestions as one types, and the category tree with its counts.

use query_svc::search::categories::PAGE_SIZE;
use schemas::view::{CategoryDocument, Document, View};
use serde_json::{Value, json};

use crate::search::{draft, list, stocked};
use crate::shop::{Faults, Shop, category, created_product, product};
use crate::waiting::eventually;

/// `Home > Lights > Desk lights` and `Home > Seats`, with a product in each but Home.
fn home() -> (Vec<Document>, [CategoryDocument; 4]) {
    let home = category("Home", None);
    let lights = category("Lights", Some(&home));
    let desk = category("Desk lights", Some(&lights));
    let seats = category("Seats", Some(&home));
    let all = [home, lights, desk, seats];
    let mut documents: Vec<Document> = all.iter().cloned().map(Document::from).collect();
    for (name, below) in [("Ceiling lamp", 1), ("Desk lamp", 2), ("Oak chair", 3)] {
        let mut draft = draft(name);
        draft.brand = "Deskcraft".to_owned();
        draft.categories = vec![all[below].path.clone()];
        documents.push(created_product(draft, 1).into());
    }
    let mut hidden = product("Hidden lamp");
    hidden.listed = false;
    hidden.category_ids = all[1].path_ids.clone();
    let mut retired = category("Attic", None);
    retired.removed = true;
    documents.extend([Document::from(hidden), Document::from(retired)]);
    (documents, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_counts_listed_products_with_those_below() {
    let (documents, [home, lights, desk, seats]) = home();
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    let answer = client.get("/v1/categories").await;
    let leaf = |document: &CategoryDocument, products: u64, children: Value| {
        json!({
            "id": document.category_id, "name": document.name, "parent_id": document.parent_id,
            "path": document.path, "products": products, "children": children,
        })
    };
    let desk = leaf(&desk, 1, json!([]));
    let below_lights = leaf(&lights, 2, json!([desk]));
    let below_home = json!([below_lights, leaf(&seats, 1, json!([]))]);
    let tree = leaf(&home, 3, below_home);
    assert_eq!(answer.body, json!({ "items": [tree] }));
    let path = format!("/v1/categories/{}", lights.category_id);
    let answer = client.get(&path).await;
    assert_eq!(answer.body, below_lights);
    assert_eq!(answer.served(), "covered");
}

/// The tree is read from the index, a list from a point in time: a refresh that is not published
/// yet may be in one and not in the other, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_tree_and_a_list_differ_by_what_is_not_published_and_by_nothing_else() {
    let lights = category("Lights", None);
    let lamp = |name: &str| {
        let mut draft = draft(name);
        draft.categories = vec![lights.path.clone()];
        Document::from(created_product(draft, 1))
    };
    let (shop, replica) = stocked(vec![lights.clone().into(), lamp("First lamp")]).await;
    let client = replica.client().with("prefer", "wait=5");
    let list = list(&[("category", &lights.category_id.to_string())]);
    let counts = async || {
        let listed = client.get(&list).await.body["total"]["value"].clone();
        let tree = client.get("/v1/categories").await;
        (listed, tree.body["items"][0]["products"].clone())
    };
    assert_eq!(counts().await, (json!(1), json!(1)));
    shop.store(vec![lamp("Second lamp")]).await;
    assert_eq!(counts().await, (json!(1), json!(1)), "not refreshed yet");
    shop.refresh(View::Products, 1).await;
    assert_eq!(counts().await, (json!(1), json!(2)), "not published yet");
    shop.publish(View::Products, 1, &shop.heads()).await;
    shop.publish(View::Categories, 1, &shop.heads()).await;
    shop.reached(&replica, 1).await;
    // The tree's answer has seen the watermark, so from now on the session needs it in lists too.
    assert_eq!(client.get("/v1/categories").await.status, 200);
    assert_eq!(counts().await, (json!(2), json!(2)));
}

/// More categories than one request reads, of which the last becomes the first between two of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_tree_is_read_in_one_cut() {
    let shop = Shop::open().await;
    let faults = Faults::start(&shop.namespace.endpoints().elasticsearch);
    let replica = shop.replica_behind(&faults).await;
    let all: Vec<CategoryDocument> = (0..=PAGE_SIZE)
        .map(|number| category(&format!("Category {number:05}"), None))
        .collect();
    shop.write(all.iter().cloned().map(Document::from).collect())
        .await;
    shop.reached(&replica, 1).await;
    faults.hold(Some("search_after"));
    let client = replica.client().with("prefer", "wait=5");
    let (answer, ()) = tokio::join!(client.get("/v1/categories"), async {
        eventually("a second page is asked for", || faults.held() > 0).await;
        let mut renamed = all[PAGE_SIZE].clone();
        renamed.name = "A first name".to_owned();
        shop.write(vec![renamed.into()]).await;
        faults.hold(None);
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().unwrap();
    assert_eq!(items.len(), all.len());
    assert_eq!(items[PAGE_SIZE]["id"], json!(all[PAGE_SIZE].category_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_category_that_is_not_there_is_not_found() {
    let mut retired = category("Attic", None);
    retired.removed = true;
    let id = retired.category_id;
    let (_shop, replica) = stocked(vec![retired.into()]).await;
    let client = replica.client();
    for id in [
        id.to_string(),
        chassis::clock::new_id().to_string(),
        "attic".to_owned(),
    ] {
        let answer = client.get(&format!("/v1/categories/{id}")).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (404, "not-found"),
            "{id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn products_categories_and_brands_are_suggested_while_typing() {
    let (documents, [home, lights, desk, _]) = home();
    let (_shop, replica) = stocked(documents).await;
    let client = replica.client();
    let answer = client.get("/v1/products/suggest?q=des").await;
    let names = |kind: &str| -> Vec<Value> {
        let found = answer.body[kind].as_array().unwrap().iter();
        found.map(|one| one["name"].clone()).collect()
    };
    assert_eq!(names("products")[0], "Desk lamp");
    assert_eq!(names("categories"), ["Desk lights"]);
    let path = json!([home.path[0], lights.path[1], desk.path[2]]);
    assert_eq!(answer.body["categories"][0]["path"], path);
    assert_eq!(answer.body["brands"], json!(["Deskcraft"]));
    let typo = client.get("/v1/products/suggest?q=ceilling%20la").await;
    assert_eq!(typo.body["products"][0]["name"], "Ceiling lamp");
    let few = client.get("/v1/products/suggest?q=lamp&limit=1").await;
    assert_eq!(
        few.body["products"].as_array().unwrap().len(),
        1,
        "never the hidden one"
    );
    let nothing = client.get("/v1/products/suggest?q=").await;
    assert_eq!(
        nothing.body,
        json!({"products": [], "categories": [], "brands": []})
    );
}
