//! Small questions to servers, for the stories.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use testbed::stack::Endpoints;
use tokio_postgres::{Client, NoTls};

/// Asks again until the answer is yes.
pub(crate) async fn wait_until(what: &str, holds: impl AsyncFnMut() -> bool) {
    testbed::eventually(what, Duration::from_secs(60), holds).await;
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

pub(crate) async fn delete_topic(endpoints: &Endpoints, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &endpoints.kafka)
        .set("log_level", "0")
        .create()
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    for result in admin.delete_topics(&[topic], &options).await.unwrap() {
        result.unwrap();
    }
}
