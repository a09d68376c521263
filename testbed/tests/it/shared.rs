//! The shared stack, and namespaces in it.

use serde_json::json;
use testbed::{namespace::Namespace, stack};

use crate::servers::{connect, create_topic, first_message, get, http, produce, put};

#[tokio::test]
async fn its_servers_answer_and_a_namespace_leaves_nothing_behind() {
    let stack = stack::shared().await.unwrap();
    let endpoints = stack.endpoints();
    let namespace = Namespace::create(endpoints).await.unwrap();
    let (database, index) = (
        namespace.database.clone(),
        format!("{}things", namespace.prefix),
    );

    let rows = connect(&namespace.database_url).await;
    rows.batch_execute("create table thing (id int); insert into thing values (7)")
        .await
        .unwrap();
    create_topic(endpoints, &index).await;
    produce(endpoints, &index, "seven").await;
    assert_eq!(first_message(endpoints, &index).await, "seven");
    put(endpoints, &index, &json!({})).await;
    put(
        endpoints,
        &format!("{index}/_doc/7?refresh=true"),
        &json!({ "id": 7 }),
    )
    .await;

    namespace.remove().await.unwrap();
    let server = connect(&endpoints.postgres).await;
    let query = "select from pg_database where datname = $1";
    assert!(
        server
            .query_opt(query, &[&database])
            .await
            .unwrap()
            .is_none()
    );
    assert!(get(endpoints, &format!("{index}/_doc/7")).await.is_none());
}

#[tokio::test]
async fn two_users_get_the_same_servers_and_namespaces_of_their_own() {
    let (one, other) = tokio::try_join!(stack::shared(), stack::shared()).unwrap();
    assert_eq!(one.endpoints(), other.endpoints());
    let first = Namespace::create(one.endpoints()).await.unwrap();
    let second = Namespace::create(one.endpoints()).await.unwrap();
    assert_ne!(first.prefix, second.prefix);
    assert_ne!(first.database_url, second.database_url);
}

#[tokio::test]
async fn nothing_is_created_by_being_mentioned() {
    let stack = stack::shared().await.unwrap();
    let namespace = Namespace::create(stack.endpoints()).await.unwrap();
    let document = format!(
        "{}/{}typo/_doc/1",
        stack.endpoints().elasticsearch,
        namespace.prefix
    );
    let response = http().put(document).json(&json!({})).send().await.unwrap();
    assert_eq!(response.status(), 404);
}
