//! A replica of query-svc inside the test's process, on a port of its own.

use chassis::clock::Deadline;
use chassis::metrics::Metrics;
use chassis::server::Server;
use chassis::shutdown::Shutdown;
use clap::Parser;
use query_svc::config::QueryArgs;
use std::time::Duration;

use super::client::Client;
use super::{LIMIT, Shop};

pub struct Replica {
    pub url: String,
    shutdown: Shutdown,
}

impl Replica {
    /// Started and ready.
    pub async fn start(shop: &Shop) -> Self {
        let replica = Self::launch(shop);
        let deadline = Deadline::within(LIMIT);
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let client = replica.client();
        while client.get("/readyz").await.status != 200 {
            assert!(!deadline.has_passed(), "the replica is not ready in time");
            ticks.tick().await;
        }
        replica
    }

    /// Started.
    pub fn launch(shop: &Shop) -> Self {
        let endpoints = shop.namespace.endpoints();
        let reader = shop.namespace.database_url.replacen(
            "postgres://postgres@",
            "postgres://tidemark_reader@",
            1,
        );
        let args = QueryArgs::parse_from([
            "query-svc",
            "--bind=127.0.0.1:0",
            "--workers=1",
            &format!("--database-url={reader}"),
            &format!("--kafka-bootstrap={}", endpoints.kafka),
            &format!("--elasticsearch-url={}", endpoints.elasticsearch),
            &format!("--prefix={}", shop.namespace.prefix),
        ]);
        let server = Server::bind(&args.http, 0).unwrap();
        let (url, shutdown) = (server.url(), Shutdown::default());
        let running = shutdown.clone();
        tokio::spawn(async move {
            query_svc::run(&args, server, Metrics::detached(), &running)
                .await
                .unwrap();
        });
        Self { url, shutdown }
    }

    /// A client that has seen nothing yet.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// True once it has stopped by itself.
    pub async fn stops_within(&self, limit: Duration) -> bool {
        let token = self.shutdown.token();
        let stopped = Deadline::within(limit).run(token.cancelled()).await;
        stopped.is_ok() && self.shutdown.has_failed()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}
